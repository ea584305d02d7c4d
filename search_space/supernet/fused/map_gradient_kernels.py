"""Gradients of the maps before the 1x1 convolutions, and of the pooled maps, each in one pass.

Terms and maps are ordered as in ``projection_kernels``.

Shapes: n positions, C channels, E edges, T terms, M maps, P positions of a tile, K width of a block.
"""

from __future__ import annotations

import triton.language as tl

from search_space.supernet.fused.kernel_parts import (
    Number,
    jit,
    load_rows,
    load_square,
    product,
    store_rows,
)


@jit
def map_gradients(
    g: tl.tensor, z: tl.tensor, pooled: tl.tensor, from_g: tl.tensor, from_z: tl.tensor,
    constants: tl.tensor, pool_factors: tl.tensor, pool_constants: tl.tensor,
    d_z: tl.tensor, d_pooled: tl.tensor,
    n: Number, edges: Number, kinds: Number, pools: tl.constexpr,
    first_half: tl.constexpr, halves: tl.constexpr, per_edge: tl.constexpr,
    channels: tl.constexpr, block: tl.constexpr, positions: tl.constexpr,
) -> None:  # fmt: skip
    """Write dz = g M1 + z M2 + c of every map, [M, n, C], and the gradients of the pooled maps, [pools, n, C].

    The map of a half gets the sum over all edges.
    """
    tile = tl.program_id(0)
    index = tl.program_id(1)
    c = tl.arange(0, block)
    inside = c < channels
    p = tile * positions + tl.arange(0, positions)
    ok = p < n
    size = n.to(tl.int64) * channels
    square = channels * channels
    maps = kinds * edges
    if halves:
        maps -= 2 * (edges - 1)
    total = tl.zeros([positions, block], constants.dtype.element_ty)
    if index < maps:
        first_term = index
        count = 1
        if halves:
            half = index - first_half * edges
            if half >= 2:
                first_term += 2 * (edges - 1)
            elif half >= 0:
                first_term = (first_half + half) * edges
                count = edges
        rows = load_rows(z + index * size, p, ok, c, channels, block)
        for term in range(first_term, first_term + count):
            source = term
            if per_edge:
                source = term % edges
            incoming = load_rows(g + source * size, p, ok, c, channels, block)
            total = product(incoming, load_square(from_g + term * square, c, channels), total)
            total = product(rows, load_square(from_z + term * square, c, channels), total)
            total += tl.load(constants + term * channels + c, mask=inside, other=0.0)[None, :]
        store_rows(d_z + index * size, p, ok, c, total, channels, block)
    else:
        kind = index - maps
        at = kind * channels + c
        pixels = load_rows(pooled + kind * size, p, ok, c, channels, block).to(total.dtype)
        total += tl.load(pool_constants + at, mask=inside, other=0.0)[None, :]
        slope = tl.load(pool_constants + pools * channels + at, mask=inside, other=0.0)
        total += pixels * slope[None, :]
        for edge in range(edges):
            gradient = load_rows(g + edge * size, p, ok, c, channels, block).to(total.dtype)
            factor = tl.load(pool_factors + (kind * edges + edge) * channels + c, mask=inside, other=0.0)
            total += gradient * factor[None, :]
        store_rows(d_pooled + kind * size, p, ok, c, total, channels, block)
