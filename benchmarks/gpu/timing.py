"""Time on a device: of an operation, and of epochs of several candidates in turn."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import torch

WARM_UP = 3
CACHE_BYTES = 2**28
"""More than the caches of a GPU hold."""


def milliseconds(call: Callable[[], object], device: torch.device, runs: int, cold: bool = False) -> float:
    """Return the median time of ``call`` in milliseconds: between two events on a GPU, by the clock on the CPU.

    Args:
        call: what is timed.
        device: where it runs.
        runs: after the warm-up.
        cold: empty the caches of the GPU before each run. Meanwhile the program issues the run, so launches of a few
            kernels are not part of its time.
    """
    for _ in range(WARM_UP):
        call()
    if device.type != "cuda":
        return 1000 * median(_seconds(call) for _ in range(runs))
    pairs = [(_event(), _event()) for _ in range(runs)]
    torch.cuda.synchronize(device)
    cache = torch.empty(CACHE_BYTES if cold else 0, dtype=torch.uint8, device=device)
    for before, after in pairs:
        cache.zero_()
        before.record()
        call()
        after.record()
    torch.cuda.synchronize(device)
    return median(before.elapsed_time(after) for before, after in pairs)


def _event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
