"""Products of many small matrices with terms that are stacked along the channels of one map.

One operation computes all terms of a map: on small maps the call overhead of one operation per term would exceed the
arithmetic.

Shapes: B batch, C channels, H height, W width; n = B H W positions, k terms in one map, rows [n, k C], matrices
[k, C, C].
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

PRODUCT_WIDTH = 16
"""Largest width of a block-diagonal product that several narrow terms share.

A product of this width takes no longer than a narrower one.
"""


def concatenated(maps: Sequence[Tensor]) -> Tensor:
    """Return the maps [B, C_i, H, W], in channels-last layout, concatenated along the channels."""
    if len(maps) == 1:
        return maps[0]
    return torch.cat([x.permute(0, 2, 3, 1) for x in maps], dim=3).permute(0, 3, 1, 2)


def add_products(out: Tensor, rows: Tensor, matrices: Tensor) -> Tensor:
    """Add rows_t M_t to ``out`` [n, k C] for every term t, in place; return ``out``."""
    matrices = _block_diagonal(matrices.to(rows.dtype))
    if len(matrices) == 1:
        return out.addmm_(rows, matrices[0])
    width = matrices.shape[-1]
    _split_terms(out, width).baddbmm_(_split_terms(rows, width), matrices)
    return out


def inner_products(left: Tensor, right: Tensor, channels: int, dtype: torch.dtype) -> Tensor:
    """Return left_t^T right_t for every term t, accumulated in ``dtype``: [k, C, C]. Never rounded to TF32."""
    width = channels * _terms_per_product(left.shape[1] // channels, channels)
    if width == left.shape[1]:
        products = product(left, right, dtype)[None]
    else:
        with _without_tf32(left):
            products = torch.bmm(_split_terms(left, width).mT.to(dtype), _split_terms(right, width).to(dtype))
    return _diagonal_blocks(products, channels)


def product(left: Tensor, right: Tensor, dtype: torch.dtype) -> Tensor:
    """Return left^T right, accumulated in ``dtype``. Never rounded to TF32."""
    if left.dtype == dtype:
        with _without_tf32(left):
            return left.T @ right
    if left.is_cuda:
        return torch.mm(left.T, right, out_dtype=dtype)
    return left.T.to(dtype) @ right.to(dtype)


@contextmanager
def _without_tf32(x: Tensor) -> Iterator[None]:
    """Forbid TF32 within the ``with`` block: a variance is the small difference of two large moments."""
    allowed = torch.backends.cuda.matmul.allow_tf32
    if not (allowed and x.is_cuda):
        yield
        return
    torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = allowed


def stack_rows(matrices: Tensor) -> Tensor:
    """Stack the matrices vertically: [k, C, C] -> [k C, C]."""
    return matrices.reshape(-1, matrices.shape[-1])


def stack_columns(matrices: Tensor) -> Tensor:
    """Stack the matrices horizontally: [k, C, C] -> [C, k C]."""
    return matrices.transpose(0, 1).reshape(matrices.shape[1], -1)


def unstack_columns(wide: Tensor) -> Tensor:
    """Undo :func:`stack_columns`: [C, k C] -> [k, C, C]."""
    return wide.view(wide.shape[0], -1, wide.shape[0]).transpose(0, 1)


def _split_terms(rows: Tensor, width: int) -> Tensor:
    """View [n, k C] as [k, n, C]."""
    return rows.view(rows.shape[0], -1, width).transpose(0, 1)


def _terms_per_product(terms: int, channels: int) -> int:
    """Return the number of terms that share a product: a divisor of ``terms``."""
    most = max(1, PRODUCT_WIDTH // channels)
    return next(count for count in range(most, 0, -1) if terms % count == 0)


def _block_diagonal(matrices: Tensor) -> Tensor:
    """Arrange every g consecutive matrices as a block-diagonal one: [k, C, C] -> [k / g, g C, g C]."""
    terms, channels, _ = matrices.shape
    shared = _terms_per_product(terms, channels)
    if shared == 1:
        return matrices
    full = matrices.new_zeros(terms // shared, shared, channels, shared, channels)
    full.diagonal(0, 1, 3).copy_(matrices.unflatten(0, (-1, shared)).permute(0, 2, 3, 1))
    return full.view(-1, shared * channels, shared * channels)


def _diagonal_blocks(full: Tensor, channels: int) -> Tensor:
    """Return the diagonal blocks: [k / g, g C, g C] -> [k, C, C]."""
    shared = full.shape[-1] // channels
    if shared == 1:
        return full
    parts = full.view(-1, shared, channels, shared, channels).diagonal(0, 1, 3)
    return parts.permute(0, 3, 1, 2).reshape(-1, channels, channels)
