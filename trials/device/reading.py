"""Reading results back from a GPU: many tensors in one copy, for which the program waits once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def on_cpu(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return the tensors on the CPU, in their order; those that are on a GPU come in a single copy."""
    away = [index for index, tensor in enumerate(tensors) if tensor.device.type != "cpu"]
    found = list(tensors)
    if not away:
        return found
    bytes_of = [tensors[index].detach().reshape(-1).view(torch.uint8) for index in away]
    parts = torch.cat(bytes_of).cpu().split([part.numel() for part in bytes_of])
    for index, part in zip(away, parts, strict=True):
        like = tensors[index]
        found[index] = part.clone().view(like.dtype).view(like.shape)  # a copy is aligned for every dtype
    return found
