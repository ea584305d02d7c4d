"""Processes that share a GPU: whether NVIDIA's Multi-Process Service (MPS) runs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path


def mps_runs() -> bool:
    """Return whether the control daemon of MPS listens on this machine, where CUDA looks for it."""
    folder = Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY") or "/tmp/nvidia-mps")  # NVIDIA's default
    return (folder / "control").exists()


def sharing_note(nodes: Sequence[tuple[str, bool]]) -> str:
    """Return one line on the nodes of a launch that shares GPUs: their names, and whether MPS runs there."""
    without = [name for name, runs in nodes if not runs]
    if not without:
        return "trials share a GPU; MPS runs, so their kernels can run at the same time"
    where = without[0] if len(without) == 1 else f"{len(without)} nodes, such as {without[0]}"
    return f"trials share a GPU, but take turns on it: MPS does not run on {where}"
