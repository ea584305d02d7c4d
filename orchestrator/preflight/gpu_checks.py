"""Whether the GPUs of a launch can do what its trials ask for: precision and memory."""

from __future__ import annotations

import math
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.errors import SweepError
from orchestrator.preflight.checks import assignments
from orchestrator.sweep.combinations import apply_assignment
from orchestrator.sweep.sweep import Sweep
from trials.config import TrialConfig
from trials.data import sources

QUERY = ("nvidia-smi", "--query-gpu=name,memory.total,compute_cap", "--format=csv,noheader,nounits")
BF16_CAPABILITY = 8.0
"""Compute capability of the first GPUs with bf16 (Ampere)."""
CONTEXT_BYTES = 600 * 2**20
"""About what the CUDA context of a process takes."""

ASSUMED_CLASSES = 1000
"""Classes for which the memory of a search is estimated, those of ImageNet: the labels are not read for it."""

_MEMORY_FIELDS = ("space.", "data.batch_size", "data.image_size", "search.", "device.precision")
"""The fields (or blocks) that the memory of a search depends on."""


@dataclass(frozen=True)
class Gpu:
    """A GPU of a node."""

    name: str
    bytes: int
    capability: float


def installed_gpus() -> list[Gpu]:
    """Return the GPUs of this node, as NVIDIA's driver lists them; none without it."""
    if shutil.which(QUERY[0]) is None:
        return []
    found = subprocess.run(QUERY, capture_output=True, text=True, check=False)
    return parsed(found.stdout) if found.returncode == 0 else []


def parsed(listing: str) -> list[Gpu]:
    """Return the GPUs of a listing; lines of another form are left out.

    >>> parsed("NVIDIA H100 80GB HBM3, 81559, 9.0")
    [Gpu(name='NVIDIA H100 80GB HBM3', bytes=85520809984, capability=9.0)]
    """
    gpus = []
    for line in listing.splitlines():
        try:
            name, mebibytes, capability = (part.strip() for part in line.rsplit(",", 2))
            gpus.append(Gpu(name, int(mebibytes) * 2**20, float(capability)))
        except ValueError:  # such as "[N/A]"
            continue
    return gpus


def refuse_unfit_gpus_here(sweep: Sweep) -> None:
    """Do what :func:`refuse_unfit_gpus` does, for this machine; the driver is asked only if trials use GPUs."""
    if sweep.resources.gpus_per_worker:
        refuse_unfit_gpus(sweep, [("this machine", installed_gpus())])


def refuse_unfit_gpus(sweep: Sweep, nodes: Sequence[tuple[str, Sequence[Gpu]]]) -> None:
    """Check that the GPUs of the nodes can do what the trials ask for.

    Raises:
        SweepError: one line for each demand that a GPU cannot meet.
    """
    if faults := gpu_faults(sweep, nodes):
        raise SweepError(faults)


def gpu_faults(sweep: Sweep, nodes: Sequence[tuple[str, Sequence[Gpu]]]) -> list[str]:
    """Return one line for each demand that a GPU of the nodes cannot meet. Imports torch if there are GPUs to use.

    Args:
        sweep: the sweep.
        nodes: name and GPUs of each node.
    """
    gpus = [(node, gpu) for node, found in nodes for gpu in found]
    if not gpus or not sweep.resources.gpus_per_worker:
        return []
    faults = []
    configs = [apply_assignment(sweep.trial, assignment) for assignment in assignments(sweep, _MEMORY_FIELDS)]
    node, oldest = min(gpus, key=lambda found: found[1].capability)
    if oldest.capability < BF16_CAPABILITY and any(c.device.precision == "bf16" for c in configs):
        faults.append(
            f"`device.precision: bf16` needs GPUs of compute capability {BF16_CAPABILITY:g}, but {oldest.name} on "
            f"{node} has {oldest.capability:g}"
        )
    node, smallest = min(gpus, key=lambda found: found[1].bytes)
    share = min(1.0, sweep.resources.gpus_per_worker)
    if fault := _memory_fault(sweep, max(configs, key=_size), smallest.bytes * share - CONTEXT_BYTES):
        faults.append(f"{fault} of {smallest.name} on {node}")
    return faults


def _size(config: TrialConfig) -> float:
    """Return a number that grows with the memory of a search."""
    space = config.space
    edges = space.nodes * (space.nodes + 3)
    pixels = (config.data.image_size or 1) ** 2
    return math.prod([space.cells, space.channels, edges, config.data.batch_size, pixels])


def _memory_fault(sweep: Sweep, config: TrialConfig, available: float) -> str | None:
    from trials.search.memory_estimate import search_bytes

    shape = sources.image_shape(config.data)
    needed = search_bytes(config, shape, ASSUMED_CLASSES, sweep.resources.workers)
    if needed is None or needed <= available:
        return None
    space = config.space
    return (
        f"a search with {space.cells} cells of {space.channels} channels and batches of {config.data.batch_size} "
        f"takes about {needed / 1e9:.1f} GB a worker (less with `search.recompute: true` or a smaller "
        f"`data.batch_size`), but a worker has {max(available, 0) / 1e9:.1f} GB"
    )
