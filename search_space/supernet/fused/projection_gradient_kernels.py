"""1x1 convolution and batch norm, backward; the formulas are those of :mod:`~search_space.supernet.projection`.

``add_products`` sums P = g^T z of every term, and what the other gradients need of g. ``finish_gradient`` turns these
sums into the gradients of the weights and of gamma, and into two matrices M1 and M2 and a vector c of every term, with
which ``map_gradient_kernels`` computes dz = g M1 + z M2 + c in one pass.

Terms, maps and weights are ordered as in ``projection_kernels``. ``per_edge`` is true for the last 1x1 convolutions,
where g belongs to the node that the edge enters, and false for the middle ones of separable convolutions, where every
term has its own g.

Shapes: n positions, C channels, E edges, T terms, M maps, Q weights, G chunks, P positions of a tile, K width of a
block.
"""

from __future__ import annotations

import triton.language as tl

from search_space.supernet.fused.kernel_parts import (
    Number,
    jit,
    load_rows,
    load_square,
    product,
    store_square,
    sum_squares,
    sum_vectors,
)
from search_space.supernet.fused.projection_kernels import place


@jit
def add_products(
    g: tl.tensor, z: tl.tensor, pooled: tl.tensor, x: tl.tensor, product_parts: tl.tensor,
    sum_parts: tl.tensor, n: Number, edges: Number, kinds: Number,
    pools: tl.constexpr, skip: tl.constexpr, first_half: tl.constexpr, halves: tl.constexpr,
    channels: tl.constexpr, block: tl.constexpr, positions: tl.constexpr,
) -> None:  # fmt: skip
    """Sum over the positions, one term or edge and one chunk a program.

    Tensors:
        g: gradients of the nodes, [E, n, C].
        z: [M, n, C]; ``pooled`` [pools, n, C]; ``x`` [n, C], read if ``skip``.
        product_parts: written: g^T z of every term, [T, G, C, C].
        sum_parts: written: of every edge the sums of g, of g times each pooled map, and of g times x,
            [E, G, 1 + pools + skip, C].
    """
    role = tl.program_id(0)
    chunk = tl.program_id(1)
    chunks = tl.num_programs(1)
    terms = kinds * edges
    c = tl.arange(0, block)
    if role < terms:
        index, _, _, _ = place(role // edges, role % edges, edges, first_half, halves, channels)
        g += (role % edges).to(tl.int64) * n * channels
        z += index.to(tl.int64) * n * channels
        total = tl.zeros([block, block], sum_parts.dtype.element_ty)
        for tile in range(chunk, tl.cdiv(n, positions), chunks):
            p = tile * positions + tl.arange(0, positions)
            ok = p < n
            incoming = load_rows(g, p, ok, c, channels, block)
            rows = load_rows(z, p, ok, c, channels, block)
            total = product(tl.trans(incoming), rows, total)
        part = (role * chunks + chunk).to(tl.int64) * channels * channels
        store_square(product_parts + part, c, total, 0, channels, channels)
    else:
        edge = role - terms
        g += edge.to(tl.int64) * n * channels
        out = sum_parts + (edge * chunks + chunk) * (1 + pools + skip) * channels + c
        for kind in tl.static_range(1 + pools + skip):
            sums = tl.zeros([block], sum_parts.dtype.element_ty)
            for tile in range(chunk, tl.cdiv(n, positions), chunks):
                p = tile * positions + tl.arange(0, positions)
                ok = p < n
                values = load_rows(g, p, ok, c, channels, block).to(sums.dtype)
                if kind > pools:
                    values *= load_rows(x, p, ok, c, channels, block).to(sums.dtype)
                elif kind > 0:
                    rows = load_rows(pooled + (kind - 1) * n * channels, p, ok, c, channels, block)
                    values *= rows.to(sums.dtype)
                sums += tl.sum(values, 0)
            tl.store(out + kind * channels, sums, mask=c < channels)


@jit
def finish_gradient(
    product_parts: tl.tensor, sum_parts: tl.tensor, weights: tl.tensor, gamma: tl.tensor, gram: tl.tensor,
    total: tl.tensor, statistics: tl.tensor, pool_statistics: tl.tensor,
    from_g: tl.tensor, from_z: tl.tensor, constants: tl.tensor, pool_factors: tl.tensor,
    pool_constants: tl.tensor, d_weights: tl.tensor, d_gamma: tl.tensor,
    n: Number, chunks: Number, edges: Number, primitives: Number,
    columns: tl.constexpr, pool_columns: tl.constexpr, skip_column: tl.constexpr,
    other_columns: tl.constexpr, first_half: tl.constexpr, halves: tl.constexpr,
    per_edge: tl.constexpr, weights_needed: tl.constexpr,
    channels: tl.constexpr, block: tl.constexpr, group: tl.constexpr,
) -> None:  # fmt: skip
    """Turn the sums of ``add_products`` into gradients and factors, one weight, pool or edge a program.

    Tensors:
        product_parts: [T, G, C, C]; ``sum_parts`` [E or T, G, S, C].
        weights: [Q, C, C]; ``gamma`` [E, primitives]; ``gram`` [M, C, C]; ``total`` [M, C].
        statistics: [3, Q, C]; ``pool_statistics`` [3, pools, C]; see ``projection_kernels.finish``.
        from_g: written: M1 of every term, [T, C, C]; ``from_z``: M2, and ``constants``: c, [T, C].
        pool_factors: written: factors of g, [pools, E, C]; ``pool_constants`` a constant and the factor of the pooled
            map, [2, pools, C].
        d_weights: written if ``weights_needed``: [Q, C, C].
        d_gamma: written if ``per_edge``: [E, primitives].
        columns: the column of gamma of each kind; ``other_columns`` get the gradient zero.
    """
    role = tl.program_id(0)
    count = (len(columns) - halves // 2) * edges  # of weights
    pools: tl.constexpr = len(pool_columns)
    sums_per_edge: tl.constexpr = 1 + pools + (skip_column >= 0)
    if role < count:
        _finish_weight(
            role, product_parts, sum_parts, weights, gamma, gram, total, statistics, from_g, from_z,
            constants, d_weights, d_gamma, n, chunks, edges, primitives, columns, sums_per_edge,
            first_half, halves, per_edge, weights_needed, channels, block, group,
        )  # fmt: skip
    elif role < count + pools:
        _finish_pool(
            role - count, sum_parts, gamma, pool_statistics, pool_factors, pool_constants, d_gamma,
            n, chunks, edges, primitives, pool_columns, sums_per_edge, channels, block,
        )  # fmt: skip
    else:
        edge = role - count - pools
        d_gamma += edge * primitives
        for index in tl.static_range(len(other_columns)):
            tl.store(d_gamma + other_columns[index], 0.0)
        if skip_column >= 0:
            c = tl.arange(0, block)
            sum_parts += (edge * chunks * sums_per_edge + 1 + pools) * channels
            sums = sum_vectors(sum_parts, chunks, sums_per_edge * channels, c, channels)
            tl.store(d_gamma + skip_column, tl.sum(sums, 0))


@jit
def _finish_weight(
    role: tl.tensor, product_parts: tl.tensor, sum_parts: tl.tensor, weights: tl.tensor, gamma: tl.tensor,
    gram: tl.tensor, total: tl.tensor, statistics: tl.tensor, from_g: tl.tensor, from_z: tl.tensor,
    constants: tl.tensor, d_weights: tl.tensor, d_gamma: tl.tensor,
    n: Number, chunks: Number, edges: Number, primitives: Number,
    columns: tl.constexpr, sums_per_edge: tl.constexpr, first_half: tl.constexpr, halves: tl.constexpr,
    per_edge: tl.constexpr, weights_needed: tl.constexpr,
    channels: tl.constexpr, block: tl.constexpr, group: tl.constexpr,
) -> None:  # fmt: skip
    kind = role // edges  # of the weight
    edge = role % edges
    parts = 1
    if halves:
        parts = tl.where(kind == first_half, 2, 1)
        kind += tl.where(kind > first_half, 1, 0)  # of its first term
    column = 0
    for number in tl.static_range(len(columns)):
        column = tl.where(kind == number, columns[number], column)
    square = channels * channels
    c = tl.arange(0, block)
    inside = c < channels
    zeros = tl.zeros([block, block], sum_parts.dtype.element_ty)
    step = (len(columns) - halves // 2) * edges * channels
    gradient_of_gamma = tl.sum(tl.zeros([block], zeros.dtype), 0)
    if per_edge:
        sum_parts += edge * chunks * sums_per_edge * channels
        sums = sum_vectors(sum_parts, chunks, sums_per_edge * channels, c, channels)
        weight_of_term = tl.load(gamma + edge * primitives + column).to(zeros.dtype)
    else:
        sums = sum_vectors(sum_parts + role * chunks * channels, chunks, channels, c, channels)
        weight_of_term = 1.0
    for half in range(parts):
        term = (kind + half) * edges + edge
        index, weight, first_row, last_row = place(kind + half, edge, edges, first_half, halves, channels)
        rows = (c >= first_row) & (c < last_row)
        part = (term * chunks).to(tl.int64) * square
        products = sum_squares(product_parts + part, chunks, c, channels, group)
        w = load_square(weights + weight * square, c, channels).to(zeros.dtype)
        w = tl.where(rows[:, None], w, 0.0)
        at = statistics + weight * channels + c
        mean = tl.load(at, mask=rows, other=0.0)
        inverse = tl.load(at + 2 * step, mask=rows, other=0.0)
        scale = inverse * weight_of_term
        d = inverse * (tl.sum(w * products, 1) - mean * sums)
        gradient_of_gamma += tl.sum(d, 0)
        k1 = scale * sums / n
        k2 = scale * inverse * d / n
        store_square(from_g + term * square, c, scale[:, None] * w, 0, channels, channels)
        scaled = k2[:, None] * w
        store_square(from_z + term * square, c, -product(tl.trans(w), scaled, zeros), 0, channels, channels)
        constant = tl.sum((k2 * mean - k1)[:, None] * w, 0)
        tl.store(constants + term * channels + c, constant, mask=inside)
        if weights_needed:
            grams = load_square(gram + index * square, c, channels)
            totals = tl.load(total + index * channels + c, mask=inside, other=0.0)
            d_w = scale[:, None] * products - product(scaled, grams, zeros)
            d_w += (k2 * mean - k1)[:, None] * totals[None, :]
            store_square(d_weights + weight * square, c, d_w, first_row, last_row, channels)
    if per_edge:
        tl.store(d_gamma + edge * primitives + column, gradient_of_gamma)


@jit
def _finish_pool(
    kind: tl.tensor, sum_parts: tl.tensor, gamma: tl.tensor, statistics: tl.tensor, factors: tl.tensor,
    constants: tl.tensor, d_gamma: tl.tensor, n: Number, chunks: Number, edges: Number,
    primitives: Number, columns: tl.constexpr, sums_per_edge: tl.constexpr,
    channels: tl.constexpr, block: tl.constexpr,
) -> None:  # fmt: skip
    """With G = sum of gamma g over the edges: dp = r G - r mean(G) - r^3 (p - m) mean(G (p - m))."""
    column = 0
    for number in tl.static_range(len(columns)):
        column = tl.where(kind == number, columns[number], column)
    c = tl.arange(0, block)
    inside = c < channels
    step = len(columns) * channels
    at = statistics + kind * channels + c
    mean = tl.load(at, mask=inside, other=0.0)
    inverse = tl.load(at + 2 * step, mask=inside, other=0.0)
    all_sums = tl.zeros([block], factors.dtype.element_ty)
    all_products = tl.zeros([block], factors.dtype.element_ty)
    for edge in range(edges):
        weight = tl.load(gamma + edge * primitives + column).to(all_sums.dtype)
        part = sum_parts + edge * chunks * sums_per_edge * channels
        sums = sum_vectors(part, chunks, sums_per_edge * channels, c, channels)
        part += (1 + kind) * channels
        products = sum_vectors(part, chunks, sums_per_edge * channels, c, channels)
        centred = inverse * (products - mean * sums)
        tl.store(d_gamma + edge * primitives + column, tl.sum(centred, 0))
        tl.store(factors + (kind * edges + edge) * channels + c, weight * inverse, mask=inside)
        all_sums += weight * sums
        all_products += weight * centred
    slope = -inverse * inverse * all_products / n
    tl.store(constants + kind * channels + c, -inverse * all_sums / n - slope * mean, mask=inside)
    tl.store(constants + step + kind * channels + c, slope, mask=inside)
