"""Products of many small matrices with terms that lie side by side in the channels of one map.

One operation for all terms of a map in place of one operation for each: on small maps the calls cost more than the
arithmetic. Shapes: n = B H W positions, C channels, k terms in one map, rows [n, k C], matrices [k, C, C].
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

PRODUCT_WIDTH = 16
"""Narrower terms share a block-diagonal product up to this width: it costs no more than one of them alone."""


def beside(maps: Sequence[Tensor]) -> Tensor:
    """Return maps [B, C_i, H, W] in channels-last layout as one, side by side in its channels."""
    if len(maps) == 1:
        return maps[0]
    return torch.cat([one.permute(0, 2, 3, 1) for one in maps], dim=3).permute(0, 3, 1, 2)


def add_products(out: Tensor, rows: Tensor, matrices: Tensor) -> Tensor:
    """Add rows_t M_t to ``out`` for every term t, in place; ``out``: [n, k C]."""
    matrices = _shared(matrices.to(rows.dtype))
    if len(matrices) == 1:
        return out.addmm_(rows, matrices[0])
    width = matrices.shape[-1]
    _terms(out, width).baddbmm_(_terms(rows, width), matrices)
    return out


def inner_products(left: Tensor, right: Tensor, channels: int, dtype: torch.dtype) -> Tensor:
    """Return left_t^T right_t for every term t, accumulated and returned at ``dtype``: [k, C, C]."""
    width = channels * _sharing(left.shape[1] // channels, channels)
    if width == left.shape[1]:
        products = product(left, right, dtype)[None]
    else:
        products = torch.bmm(_terms(left, width).mT.to(dtype), _terms(right, width).to(dtype))
    return _diagonals(products, channels)


def product(left: Tensor, right: Tensor, dtype: torch.dtype) -> Tensor:
    """Return left^T right, accumulated and returned at ``dtype``."""
    if left.dtype == dtype:
        return left.T @ right
    if left.is_cuda:
        return torch.mm(left.T, right, out_dtype=dtype)
    return left.T.to(dtype) @ right.to(dtype)


def stacked(matrices: Tensor) -> Tensor:
    """[k, C, C] -> [k C, C]: one below the other."""
    return matrices.reshape(-1, matrices.shape[-1])


def in_columns(matrices: Tensor) -> Tensor:
    """[k, C, C] -> [C, k C]: one beside the other."""
    return matrices.transpose(0, 1).reshape(matrices.shape[1], -1)


def from_columns(wide: Tensor) -> Tensor:
    """[C, k C] -> [k, C, C]: undo :func:`in_columns`."""
    return wide.view(wide.shape[0], -1, wide.shape[0]).transpose(0, 1)


def _terms(rows: Tensor, width: int) -> Tensor:
    """View [n, k C] as [k, n, C]."""
    return rows.view(rows.shape[0], -1, width).transpose(0, 1)


def _sharing(terms: int, channels: int) -> int:
    """Return how many terms share a product."""
    most = max(1, PRODUCT_WIDTH // channels)
    return next(count for count in range(most, 0, -1) if terms % count == 0)


def _shared(matrices: Tensor) -> Tensor:
    """[k, C, C] -> [k / g, g C, g C]: the g matrices that share a product as the blocks of a diagonal."""
    terms, channels, _ = matrices.shape
    shared = _sharing(terms, channels)
    if shared == 1:
        return matrices
    full = matrices.new_zeros(terms // shared, shared, channels, shared, channels)
    full.diagonal(0, 1, 3).copy_(matrices.unflatten(0, (-1, shared)).permute(0, 2, 3, 1))
    return full.view(-1, shared * channels, shared * channels)


def _diagonals(full: Tensor, channels: int) -> Tensor:
    """[k / g, g C, g C] -> [k, C, C]: undo :func:`_shared`."""
    shared = full.shape[-1] // channels
    if shared == 1:
        return full
    parts = full.view(-1, shared, channels, shared, channels).diagonal(0, 1, 3)
    return parts.permute(0, 3, 1, 2).reshape(-1, channels, channels)
