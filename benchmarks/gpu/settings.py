"""The sizes at which the sections measure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Setting:
    """Size of the supernet, its images and its batch."""

    cells: int
    channels: int
    nodes: int
    side: int
    batch: int


FULL = Setting(cells=8, channels=16, nodes=4, side=32, batch=64)
"""The size of all figures: that of the DARTS paper's search on CIFAR-10."""
SMALL = Setting(cells=3, channels=16, nodes=4, side=16, batch=16)
"""A whole trial takes seconds. Its widths are those of ``FULL``, so that Triton compiles nothing again."""
TINY = Setting(cells=3, channels=4, nodes=1, side=8, batch=4)
"""A rehearsal."""
