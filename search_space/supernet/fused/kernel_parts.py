"""What all kernels share: compilation, loads of whole tiles, matrix products, sizes of the terms.

A kernel works on *rows*: a map in channels-last layout is n rows of C channels. Block shapes are powers of two, so
every load has a mask. Sums are accumulated in float32, or in float64 for float64 maps, never in TF32.

Shapes: n positions of a map, C channels, P positions of a tile, K width of a block (C rounded up to a power of two).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import triton
import triton.language as tl

Number: TypeAlias = tl.tensor
"""An integer argument that changes from launch to launch: a kernel is compiled once for all its values."""


def jit(function: Callable[..., object]) -> Any:
    """Return ``function`` as a Triton kernel, or as a function that kernels can call."""
    numbers = [name for name, note in function.__annotations__.items() if note == "Number"]
    return triton.jit(function, do_not_specialize=numbers)


INTERPRETED = tl.constexpr(bool(triton.knobs.runtime.interpret))
"""Whether kernels run in Triton's interpreter, which cannot multiply bfloat16 matrices."""
if INTERPRETED.value:
    from search_space.supernet.fused import interpreter

    interpreter.adapt()


@jit
def product(left: tl.tensor, right: tl.tensor, total: tl.tensor) -> tl.tensor:
    """Return total + left right, accumulated in the dtype of ``total``."""
    if INTERPRETED:
        left = left.to(total.dtype)
        right = right.to(total.dtype)
    return tl.dot(left, right, total, input_precision="ieee", out_dtype=total.dtype)


@jit
def row_mask(ok: tl.tensor, c: tl.tensor, channels: tl.constexpr, block: tl.constexpr) -> tl.tensor:
    """Return the mask of a tile [P, K] whose positions are valid where ``ok`` is."""
    mask = tl.broadcast_to(ok[:, None], (ok.shape[0], block))
    if channels != block:
        mask = mask & (c < channels)[None, :]
    return mask


@jit
def load_rows(
    x: tl.tensor, p: tl.tensor, ok: tl.tensor, c: tl.tensor, channels: tl.constexpr, block: tl.constexpr
) -> tl.tensor:
    """Load rows ``p`` of x [n, C]; zero where ``ok`` is false."""
    return tl.load(x + p[:, None] * channels + c[None, :], mask=row_mask(ok, c, channels, block), other=0.0)


@jit
def store_rows(
    x: tl.tensor, p: tl.tensor, ok: tl.tensor, c: tl.tensor, value: tl.tensor,
    channels: tl.constexpr, block: tl.constexpr,
) -> None:  # fmt: skip
    """Store rows ``p`` of x [n, C] where ``ok`` is true."""
    value = value.to(x.dtype.element_ty)
    tl.store(x + p[:, None] * channels + c[None, :], value, mask=row_mask(ok, c, channels, block))


@jit
def load_square(x: tl.tensor, c: tl.tensor, channels: tl.constexpr) -> tl.tensor:
    """Load a matrix [C, C], padded with zeros to [K, K]."""
    inside = (c < channels)[:, None] & (c < channels)[None, :]
    return tl.load(x + c[:, None] * channels + c[None, :], mask=inside, other=0.0)


@jit
def sum_squares(
    parts: tl.tensor, count: Number, c: tl.tensor, channels: tl.constexpr, group: tl.constexpr
) -> tl.tensor:
    """Return the sum of ``count`` matrices [C, C], padded with zeros to [K, K]; ``group`` are loaded at a time."""
    square = channels * channels
    inside = (c < channels)[:, None] & (c < channels)[None, :]
    total = tl.zeros([c.shape[0], c.shape[0]], parts.dtype.element_ty)
    number = tl.arange(0, group)
    for first in range(0, count, group):
        at = (first + number)[:, None, None] * square + (c[:, None] * channels + c[None, :])[None, :, :]
        mask = (first + number < count)[:, None, None] & inside[None, :, :]
        total += tl.sum(tl.load(parts + at, mask=mask, other=0.0), 0)
    return total


@jit
def sum_vectors(
    parts: tl.tensor, count: Number, step: tl.constexpr, c: tl.tensor, channels: tl.constexpr
) -> tl.tensor:
    """Return the sum of ``count`` vectors [C], ``step`` elements apart, padded with zeros to [K]."""
    total = tl.zeros([c.shape[0]], parts.dtype.element_ty)
    number = tl.arange(0, 64)
    for first in range(0, count, 64):
        at = (first + number)[:, None] * step + c[None, :]
        mask = (first + number < count)[:, None] & (c < channels)[None, :]
        total += tl.sum(tl.load(parts + at, mask=mask, other=0.0), 0)
    return total


@jit
def store_square(
    x: tl.tensor, c: tl.tensor, value: tl.tensor, first: tl.tensor, last: tl.tensor, channels: tl.constexpr
) -> None:
    """Store the rows from ``first`` to before ``last`` of a matrix [C, C]."""
    rows = (c >= first) & (c < last)
    inside = rows[:, None] & (c < channels)[None, :]
    tl.store(x + c[:, None] * channels + c[None, :], value.to(x.dtype.element_ty), mask=inside)


@jit
def kernel_of_term(
    term: tl.tensor, edges: tl.tensor, channels: tl.constexpr, kernels: tl.constexpr, dilations: tl.constexpr
) -> tuple[tl.tensor, tl.tensor, tl.tensor]:
    """Return kernel size, dilation and offset of the kernels [C, k, k] of a term.

    Terms are ordered by kind of convolution, then by edge; ``kernels`` and ``dilations`` have one entry a kind.
    """
    size = 1
    dilation = 1
    offset = 0
    for kind in tl.static_range(len(kernels)):
        before = term - kind * edges
        if before >= 0:
            size = kernels[kind]
            dilation = dilations[kind]
        offset += tl.minimum(tl.maximum(before, 0), edges) * (channels * kernels[kind] * kernels[kind])
    return size, dilation, offset
