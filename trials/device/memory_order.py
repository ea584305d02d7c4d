"""The features of a map in the order of its memory, for what looks at each of them once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def in_memory_order(x: Tensor) -> Any:
    """Return the features of ``x`` as a numpy array [S] that shares its memory; None unless that is possible.

    It is for float32 on the CPU without gaps, channels first or last.
    """
    if x.device.type != "cpu" or x.dtype != torch.float32 or not x.numel():
        return None
    if not (x.is_contiguous() or (x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last))):
        return None
    return x.detach().as_strided((x.numel(),), (1,)).numpy()
