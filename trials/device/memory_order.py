"""A feature map as a flat array in memory order, for kernels that visit each feature once."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def in_memory_order(x: Tensor) -> NDArray[np.float32] | None:
    """Return the features of ``x`` as an array [x.numel()] that shares its memory, or None.

    Possible only for a dense float32 tensor on the CPU, channels first or channels last, and not for an empty one.
    """
    if x.device.type != "cpu" or x.dtype != torch.float32 or not x.numel():
        return None
    if not (x.is_contiguous() or (x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last))):
        return None
    features: NDArray[np.float32] = x.detach().as_strided((x.numel(),), (1,)).numpy()
    return features
