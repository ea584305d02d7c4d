"""3x3 max and average pooling of one source, with the moments that their batch norms need.

Max pooling stores the tap of each maximum, 0 to 8, in one byte: the first one in reading order, as torch chooses.
Average pooling counts pixels inside the map only.

Shapes: B batch, C channels, H height, W width; n output positions, G chunks of positions, P positions of a tile.
"""

from __future__ import annotations

import triton.language as tl

from search_space.supernet.fused.kernel_parts import Number, jit, row_mask, store_rows


@jit
def pool(
    x: tl.tensor, pooled: tl.tensor, taps: tl.tensor, moments: tl.tensor,
    n: Number, height: Number, width: Number, out_height: Number, out_width: Number,
    largest: tl.constexpr, stride: tl.constexpr,
    channels: tl.constexpr, block: tl.constexpr, positions: tl.constexpr,
) -> None:  # fmt: skip
    """Write the pooled maps [pools, n, C] and parts of sum and sum of squares, one pool and chunk a program.

    Tensors:
        x: [B H W, C].
        taps: written if there is max pooling: the tap of each maximum, [n, C].
        moments: written: [pools, G, 2, C].
        largest: for each pool, whether it is max pooling.
    """
    kind = tl.program_id(0)
    part = (kind * tl.num_programs(1) + tl.program_id(1)) * 2 * channels
    for number in tl.static_range(len(largest)):
        if kind == number:
            _pool(
                x, pooled + kind.to(tl.int64) * n * channels, taps, moments + part, n, height, width,
                out_height, out_width, largest[number], stride, channels, block, positions,
            )  # fmt: skip


@jit
def _pool(
    x: tl.tensor, pooled: tl.tensor, taps: tl.tensor, moments: tl.tensor,
    n: Number, height: Number, width: Number, out_height: Number, out_width: Number,
    largest: tl.constexpr, stride: tl.constexpr,
    channels: tl.constexpr, block: tl.constexpr, positions: tl.constexpr,
) -> None:  # fmt: skip
    c = tl.arange(0, block)
    dtype: tl.constexpr = moments.dtype.element_ty
    totals = tl.zeros([block], dtype)
    squares = tl.zeros([block], dtype)
    outside: tl.constexpr = float("-inf") if largest else 0.0
    for tile in range(tl.program_id(1), tl.cdiv(n, positions), tl.num_programs(1)):
        p = tile * positions + tl.arange(0, positions)
        ok = p < n
        row = (p // out_width) % out_height * stride - 1
        column = p % out_width * stride - 1
        corner = (p // (out_height * out_width) * height + row) * width + column
        value = tl.full([positions, block], outside, dtype)
        tap = tl.zeros([positions, block], tl.int32)
        count = tl.zeros([positions], dtype)
        for i in range(3):
            seen_row = ok & (row + i >= 0) & (row + i < height)
            for j in range(3):
                seen = seen_row & (column + j >= 0) & (column + j < width)
                at = (corner + i * width + j)[:, None] * channels + c[None, :]
                pixel = tl.load(x + at, mask=row_mask(seen, c, channels, block), other=outside).to(dtype)
                if largest:
                    better = (pixel > value) | (pixel != pixel)  # NaN wins, as in torch
                    value = tl.where(better, pixel, value)
                    tap = tl.where(better, i * 3 + j, tap)
                else:
                    value += pixel
                    count += tl.where(seen, 1.0, 0.0)
        mask = row_mask(ok, c, channels, block)
        if largest:
            value = tl.where(mask, value, 0.0)
            tl.store(taps + p[:, None] * channels + c[None, :], tap.to(tl.uint8), mask=mask)
        else:
            value = value / tl.maximum(count, 1.0)[:, None]
        rounded = value.to(pooled.dtype.element_ty)
        store_rows(pooled, p, ok, c, rounded, channels, block)
        value = rounded.to(dtype)
        totals += tl.sum(value, 0)
        squares += tl.sum(value * value, 0)
    tl.store(moments + c, totals, mask=c < channels)
    tl.store(moments + channels + c, squares, mask=c < channels)
