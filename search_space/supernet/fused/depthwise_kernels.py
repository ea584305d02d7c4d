"""Depthwise convolutions of all edges that leave one source, with the first two moments of every output.

One program computes some tiles of one term: a term is one convolution on one edge, or one half of a factorized reduce
(the even or the odd pixels). Its part of z^T z and of the sum of z stays in registers and is stored once.

Shapes: B batch, C channels, H height, W width; n output positions, T terms, G chunks of positions, P positions of a
tile, K width of a block, k kernel size.
"""

from __future__ import annotations

import triton.language as tl

from search_space.supernet.fused.kernel_parts import (
    Number,
    jit,
    kernel_of_term,
    product,
    row_mask,
    store_rows,
)


@jit
def convolve(
    x: tl.tensor, weights: tl.tensor, z: tl.tensor, gram: tl.tensor, total: tl.tensor,
    n: Number, height: Number, width: Number, out_height: Number, out_width: Number,
    edges: Number, convolutions: Number,
    kernels: tl.constexpr, dilations: tl.constexpr, stride: tl.constexpr, rectify: tl.constexpr,
    shared: tl.constexpr, channels: tl.constexpr, block: tl.constexpr, positions: tl.constexpr,
) -> None:  # fmt: skip
    """Write z [T, n, C] and parts of its moments, ``gram`` [T, G, C, C] and ``total`` [T, G, C].

    Tensors:
        x: the input of all terms [B H W, C] if ``shared``, else of each term, [T, B H W, C].
        weights: [edges, C, k, k] of each kind, one after the other.
        convolutions: terms from here on are halves of a factorized reduce.
        rectify: whether the input passes a ReLU.
    """
    term = tl.program_id(0)
    chunk = tl.program_id(1)
    chunks = tl.num_programs(1)
    c = tl.arange(0, block)
    size, dilation, offset = kernel_of_term(term, edges, channels, kernels, dilations)
    is_half = term >= convolutions
    shift = tl.maximum(term - convolutions, 0)
    size = tl.where(is_half, 1, size)
    kernel = weights + offset + c * size * size
    has_kernel = (c < channels) & (term < convolutions)
    if not shared:
        images = n // (out_height * out_width)
        x += term.to(tl.int64) * images * height * width * channels
    z += term.to(tl.int64) * n * channels
    grams = tl.zeros([block, block], total.dtype.element_ty)
    totals = tl.zeros([block], total.dtype.element_ty)
    for tile in range(chunk, tl.cdiv(n, positions), chunks):
        p = tile * positions + tl.arange(0, positions)
        ok = p < n
        row = (p // out_width) % out_height * stride + shift - size // 2 * dilation
        column = p % out_width * stride + shift - size // 2 * dilation
        corner = (p // (out_height * out_width) * height + row) * width + column
        pixels = x + corner[:, None] * channels + c[None, :]
        value = tl.zeros([positions, block], total.dtype.element_ty)
        for i in range(size):
            r = row + i * dilation
            seen_row = ok & (r >= 0) & (r < height)
            for j in range(size):
                q = column + j * dilation
                seen = row_mask(seen_row & (q >= 0) & (q < width), c, channels, block)
                pixel = tl.load(pixels + (i * width + j) * dilation * channels, mask=seen, other=0.0)
                if rectify:
                    pixel = tl.where(pixel < 0.0, 0.0, pixel)  # keeps NaN, as torch does
                tap = tl.load(kernel + (i * size + j), mask=has_kernel, other=1.0)
                value += pixel.to(value.dtype) * tap.to(value.dtype)[None, :]
        rounded = value.to(z.dtype.element_ty)
        store_rows(z, p, ok, c, rounded, channels, block)
        grams = product(tl.trans(rounded), rounded, grams)
        totals += tl.sum(rounded.to(totals.dtype), 0)
    part = term * chunks + chunk
    inside = (c < channels)[:, None] & (c < channels)[None, :]
    square = part.to(tl.int64) * channels * channels + c[:, None] * channels + c[None, :]
    tl.store(gram + square, grams, mask=inside)
    tl.store(total + part * channels + c, totals, mask=c < channels)
