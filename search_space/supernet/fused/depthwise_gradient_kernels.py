"""Gradients of the depthwise convolutions and pools of one source.

Every gradient of a map gathers: a program reads all positions that its own positions contributed to. Gradients of
kernels are summed in registers and stored once a chunk, as one row of ``parts`` [G, L]; L counts all kernel elements,
in the order of the weights.

Shapes: B batch, C channels, H height, W width; n output positions, E edges, T terms, G chunks of positions,
P positions of a tile, K width of a block, k kernel size.
"""

from __future__ import annotations

import triton.language as tl

from search_space.supernet.fused.kernel_parts import (
    Number,
    jit,
    kernel_of_term,
    load_rows,
    product,
    row_mask,
    store_rows,
    store_square,
)


@jit
def middle_gradient(
    d_z: tl.tensor, y: tl.tensor, z: tl.tensor, weights: tl.tensor, g: tl.tensor, product_parts: tl.tensor,
    sum_parts: tl.tensor, weight_parts: tl.tensor,
    n: Number, height: Number, width: Number, edges: Number, part_length: Number,
    kernels: tl.constexpr, dilations: tl.constexpr, taps: tl.constexpr, weights_needed: tl.constexpr,
    channels: tl.constexpr, block: tl.constexpr, positions: tl.constexpr,
) -> None:  # fmt: skip
    """Backward pass of the second depthwise convolution of every separable one, and of the ReLU before it.

    Tensors:
        d_z: [T, n, C]; ``y`` the input of the convolutions, [T, n, C]; ``z`` the map before the 1x1 convolution that
            made y, [T, n, C].
        g: written: the gradient before the ReLU, [T, n, C].
        product_parts: written: g^T z, [T, G, C, C]; ``sum_parts`` the sums of g, [T, G, C].
        weight_parts: written if ``weights_needed``: parts of the kernels' gradients.
        taps: k^2 of the largest kernel, rounded up to a power of two.
    """
    term = tl.program_id(0)
    chunk = tl.program_id(1)
    chunks = tl.num_programs(1)
    c = tl.arange(0, block)
    t = tl.arange(0, taps)
    size, _, offset = kernel_of_term(term, edges, channels, kernels, dilations)
    shift = term.to(tl.int64) * n * channels
    dtype = sum_parts.dtype.element_ty
    kernel = weights + offset + c * size * size
    products = tl.zeros([block, block], dtype)
    sums = tl.zeros([block], dtype)
    d_weight = tl.zeros([taps, block], dtype)
    for tile in range(chunk, tl.cdiv(n, positions), chunks):
        p = tile * positions + tl.arange(0, positions)
        ok = p < n
        row = p // width % height + size // 2
        column = p % width + size // 2
        corner = (p + size // 2 * (width + 1))[:, None] * channels + c[None, :]
        gradients = d_z + shift + corner
        value = tl.zeros([positions, block], dtype)
        rectified = load_rows(y + shift, p, ok, c, channels, block).to(dtype)
        for i in range(size):
            seen_row = ok & (row - i >= 0) & (row - i < height)
            for j in range(size):
                seen = row_mask(seen_row & (column - j >= 0) & (column - j < width), c, channels, block)
                gradient = tl.load(gradients - (i * width + j) * channels, mask=seen, other=0.0).to(dtype)
                tap = tl.load(kernel + (i * size + j), mask=c < channels, other=0.0)
                value += gradient * tap.to(dtype)[None, :]
                if weights_needed:
                    here = (t == i * size + j)[:, None]
                    d_weight += tl.where(here, tl.sum(gradient * rectified, 0)[None, :], 0.0)
        rounded = tl.where(rectified <= 0.0, 0.0, value).to(g.dtype.element_ty)
        store_rows(g + shift, p, ok, c, rounded, channels, block)
        rows = load_rows(z + shift, p, ok, c, channels, block)
        products = product(tl.trans(rounded), rows, products)
        sums += tl.sum(rounded.to(dtype), 0)
    part = term * chunks + chunk
    store_square(product_parts + part.to(tl.int64) * channels * channels, c, products, 0, channels, channels)
    tl.store(sum_parts + part * channels + c, sums, mask=c < channels)
    if weights_needed:
        at = weight_parts + chunk * part_length + offset + (c * size * size)[None, :] + t[:, None]
        tl.store(at, d_weight, mask=(t < size * size)[:, None] & (c < channels)[None, :])


@jit
def kernel_gradient(
    d_z: tl.tensor, x: tl.tensor, weight_parts: tl.tensor,
    n: Number, height: Number, width: Number, out_height: Number, out_width: Number,
    edges: Number, part_length: Number,
    kernels: tl.constexpr, dilations: tl.constexpr, taps: tl.constexpr, stride: tl.constexpr,
    rectify: tl.constexpr, channels: tl.constexpr, block: tl.constexpr, positions: tl.constexpr,
) -> None:  # fmt: skip
    """Write parts of the gradients of the kernels that read the source; ``d_z`` [T, n, C], ``x`` [B H W, C]."""
    term = tl.program_id(0)
    chunk = tl.program_id(1)
    chunks = tl.num_programs(1)
    c = tl.arange(0, block)
    t = tl.arange(0, taps)
    size, dilation, offset = kernel_of_term(term, edges, channels, kernels, dilations)
    shift = term.to(tl.int64) * n * channels
    dtype = weight_parts.dtype.element_ty
    d_weight = tl.zeros([taps, block], dtype)
    for tile in range(chunk, tl.cdiv(n, positions), chunks):
        p = tile * positions + tl.arange(0, positions)
        ok = p < n
        row = p // out_width % out_height * stride - size // 2 * dilation
        column = p % out_width * stride - size // 2 * dilation
        corner = (p // (out_height * out_width) * height + row) * width + column
        pixels = x + corner[:, None] * channels + c[None, :]
        gradient = load_rows(d_z + shift, p, ok, c, channels, block).to(dtype)
        for i in range(size):
            r = row + i * dilation
            seen_row = ok & (r >= 0) & (r < height)
            for j in range(size):
                q = column + j * dilation
                seen = row_mask(seen_row & (q >= 0) & (q < width), c, channels, block)
                pixel = tl.load(pixels + (i * width + j) * dilation * channels, mask=seen, other=0.0).to(
                    dtype
                )
                if rectify:
                    pixel = tl.where(pixel < 0.0, 0.0, pixel)
                here = (t == i * size + j)[:, None]
                d_weight += tl.where(here, tl.sum(gradient * pixel, 0)[None, :], 0.0)
    at = weight_parts + chunk * part_length + offset + (c * size * size)[None, :] + t[:, None]
    tl.store(at, d_weight, mask=(t < size * size)[:, None] & (c < channels)[None, :])


@jit
def source_gradient(
    d_z: tl.tensor, weights: tl.tensor, x: tl.tensor, d_pooled: tl.tensor, max_taps: tl.tensor,
    g: tl.tensor, gamma: tl.tensor, d_x: tl.tensor, d_rectified: tl.tensor,
    count: Number, n: Number, height: Number, width: Number, out_height: Number, out_width: Number,
    edges: Number, convolutions: Number, primitives: Number,
    kernels: tl.constexpr, dilations: tl.constexpr, halves: tl.constexpr, largest: tl.constexpr,
    skip_column: tl.constexpr, stride: tl.constexpr, rectify: tl.constexpr,
    channels: tl.constexpr, block: tl.constexpr, positions: tl.constexpr,
) -> None:  # fmt: skip
    """Write the gradient of a source's map, [B H W, C].

    Tensors:
        d_z: of the convolutions, then of the halves, [T, n, C].
        x: the map, [B H W, C]; read if ``rectify``. Otherwise the convolutions read another map, whose gradient is
            written to ``d_rectified``.
        d_pooled: [pools, n, C]; ``max_taps`` the tap of each maximum, [n, C].
        g: gradients of the nodes [E, n, C]; read if there is a skip connection.
        count: B H W.
    """
    tile = tl.program_id(0)
    c = tl.arange(0, block)
    p = tile * positions + tl.arange(0, positions)
    ok = p < count
    row = p // width % height
    column = p % width
    first = p // (height * width) * out_height
    size_of_map = tl.cast(n, tl.int64) * channels
    dtype: tl.constexpr = weights.dtype.element_ty
    value = tl.zeros([positions, block], dtype)
    for term in range(convolutions + halves):
        size, dilation, offset = kernel_of_term(term, edges, channels, kernels, dilations)
        is_half = term >= convolutions
        size = tl.where(is_half, 1, size)
        kernel = weights + offset + c * size * size
        has_kernel = (c < channels) & (term < convolutions)
        shift = size // 2 * dilation - tl.maximum(term - convolutions, 0)
        near = d_z + term * size_of_map + (p + shift * (width + 1))[:, None] * channels + c[None, :]
        for i in range(size):
            r = row + shift - i * dilation
            seen_row = ok & (r >= 0) & (r < out_height * stride) & (r % stride == 0)
            for j in range(size):
                q = column + shift - j * dilation
                seen = seen_row & (q >= 0) & (q < out_width * stride) & (q % stride == 0)
                if stride == 1:
                    there = near - (i * width + j) * dilation * channels
                else:
                    at = (first + r // stride) * out_width + q // stride
                    there = d_z + term * size_of_map + at[:, None] * channels + c[None, :]
                gradient = tl.load(there, mask=row_mask(seen, c, channels, block), other=0.0)
                tap = tl.load(kernel + (i * size + j), mask=has_kernel, other=1.0)
                value += gradient.to(dtype) * tap[None, :]
    if rectify:
        value = tl.where(load_rows(x, p, ok, c, channels, block) <= 0.0, 0.0, value)
    else:
        store_rows(d_rectified, p, ok, c, value, channels, block)
        value = tl.zeros([positions, block], dtype)
    for kind in tl.static_range(len(largest)):
        for i in range(3):
            r = row + 1 - i
            seen_row = ok & (r >= 0) & (r < out_height * stride) & (r % stride == 0)
            rows = tl.minimum(r + 2, height) - tl.maximum(r - 1, 0)
            for j in range(3):
                q = column + 1 - j
                seen = seen_row & (q >= 0) & (q < out_width * stride) & (q % stride == 0)
                at = (first + r // stride) * out_width + q // stride
                gradient = load_rows(d_pooled + kind * size_of_map, at, seen, c, channels, block).to(dtype)
                if largest[kind]:
                    chosen = max_taps + at[:, None] * channels + c[None, :]
                    chosen = tl.load(chosen, mask=row_mask(seen, c, channels, block), other=9)
                    value += tl.where(chosen == i * 3 + j, gradient, 0.0)
                else:
                    columns = tl.minimum(q + 2, width) - tl.maximum(q - 1, 0)
                    value += gradient / tl.maximum(rows * columns, 1).to(dtype)[:, None]
    if skip_column >= 0:
        for edge in range(edges):
            gradient = load_rows(g + edge * size_of_map, p, ok, c, channels, block).to(dtype)
            value += gradient * tl.load(gamma + edge * primitives + skip_column)
    store_rows(d_x, p, ok, c, value, channels, block)
