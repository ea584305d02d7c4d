"""Structured zeros: which features are left when hardware skips only whole groups of channels.

A *grain* is how many channels must be zero together. Grain 1 skips single features; grain 4 and 8 skip 4 or 8
neighbouring channels of one position; :data:`WHOLE` skips channels that are zero at all positions of an image.

Shapes: ``...`` positions, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

WHOLE = 0
"""The grain of whole channels."""
GRAINS = (1, 4, 8, WHOLE)
"""The grains that are counted."""


def kept(nonzero: Tensor, grain: int, positions: Sequence[int]) -> Tensor:
    """Return which features must be computed, bool like ``nonzero`` [..., C].

    Args:
        nonzero: which features are not zero.
        grain: one of :data:`GRAINS`.
        positions: dimensions of the positions of one image.

    >>> import torch
    >>> kept(torch.tensor([[0, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1]]).bool(), 4, [0]).int().tolist()
    [[1, 1, 1, 1, 0, 0], [0, 0, 0, 0, 1, 1]]
    >>> kept(torch.tensor([[0, 1, 0], [0, 0, 0]]).bool(), WHOLE, [0]).int().tolist()
    [[0, 1, 0], [0, 1, 0]]
    """
    if grain == 1:
        return nonzero
    if grain == WHOLE:
        for dimension in positions:
            nonzero = nonzero.any(dimension, keepdim=True).expand_as(nonzero)
        return nonzero
    channels = nonzero.shape[-1]
    groups = F.pad(nonzero, (0, -channels % grain)).unflatten(-1, (-1, grain))
    return groups.any(-1, keepdim=True).expand_as(groups).flatten(-2)[..., :channels]
