"""The order and the time limits of the sections.

Correctness comes before speed, because the speed of a wrong result is worth nothing. The limits add up to the nine
minutes, so that every section has its turn even if all others run into their limits.
"""

from __future__ import annotations

from dataclasses import dataclass

SECONDS = 540.0
"""The whole run, from the first line to the last."""
MARGIN_S = 6.0
"""Left at the end, for a process that has to be killed and for the report."""
LEAST_S = 5.0
"""A section is skipped if less than this is left."""
PATIENCE = 4.0
"""Factor on the limits of the sections in a rehearsal, which may run on a busy machine."""


@dataclass(frozen=True)
class Section:
    """A section: the module of its name in ``benchmarks.gpu.sections``."""

    name: str
    limit_s: float
    purpose: str
    """What it answers, in a few words."""


SECTIONS = (
    Section("machine", 25, "versions; copy and matrix-product ceilings; time of a launch"),
    Section("exactness", 50, "the supernet against the plain formula in every format; synchronizations"),
    Section("fused", 60, "the fused stages in Triton against the plain formula"),
    Section("trial", 45, "a trial repeated, and stopped and resumed; recomputation; ladder rows"),
    Section("graph", 40, "captured steps against eager steps, bit for bit"),
    Section("step", 100, "time and memory of a search step against the plain formula"),
    Section("profile", 30, "kernels of a step, busy share, the longest kernels"),
    Section("kernels", 25, "single operations: Gram products and depthwise convolutions"),
    Section("augmentation", 15, "augmented images a second"),
    Section("ladder", 35, "seconds a rung of the ladder"),
    Section("search", 70, "100 search and 100 training steps on CIFAR-10, and a whole search from them"),
    Section("sharing", 35, "1, 2 and 4 processes on one GPU"),
)
"""All sections, in order. The first one always runs: it says what the others ran on."""


def selected(names: list[str]) -> list[Section]:
    """Return the sections of these names and the first one, in order; without names, all of them.

    Raises:
        ValueError: there is no such section; the message lists all names.
    """
    known = [section.name for section in SECTIONS]
    for name in names:
        if name not in known:
            raise ValueError(f"a section must be one of {', '.join(known)}, but got {name!r}")
    return [section for section in SECTIONS if not names or section.name in (known[0], *names)]
