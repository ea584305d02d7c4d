"""Counting the synchronizations of a GPU: operations for which the program waits until the GPU has done everything."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch

WARNING = "called a synchronizing CUDA operation"
"""How torch names them."""


def synchronizations(run: Callable[[], object]) -> Counter[str]:
    """Return where ``run`` makes the program wait for the GPU, and how often: ``file:line`` of this checkout.

    torch warns at each of them, in ``torch.cuda.set_sync_debug_mode("warn")``. ``"error"`` would show the first alone.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            run()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    found = [one for one in caught if WARNING in str(one.message)]
    return Counter(f"{Path(one.filename).name}:{one.lineno}" for one in found)


def per_step(short: Counter[str], long: Counter[str], steps: int) -> dict[str, float]:
    """Return the synchronizations of one step, by place: ``long`` is of ``steps`` steps more than ``short``."""
    more = Counter(long)
    more.subtract(short)
    return {place: count / steps for place, count in more.items() if count}
