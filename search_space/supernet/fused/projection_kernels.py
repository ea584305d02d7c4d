"""1x1 convolution and batch norm, forward: from moments to matrices, and from matrices to maps.

``finish`` turns the moments of every z into the matrix A and the bias b of its term, as
:mod:`~search_space.supernet.projection` describes. b is derived from A as it is stored: rounded, if maps are bfloat16.

Terms are ordered by kind, then by edge: dilated convolutions, two halves of a factorized reduce (if the stride is 2),
separable convolutions. The halves have one map z each, shared by all edges, and together one weight per edge, whose
first C // 2 rows belong to the even half.

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
    store_rows,
    store_square,
    sum_squares,
    sum_vectors,
)


@jit
def place(
    kind: tl.tensor, edge: tl.tensor, edges: Number, first_half: tl.constexpr, halves: tl.constexpr,
    channels: tl.constexpr,
) -> tuple[tl.tensor, tl.tensor, tl.tensor, tl.tensor]:  # fmt: skip
    """Return map and weight of a term, and the first and the last row of the weight that the term has.

    ``halves`` is 2 if the kinds ``first_half`` and ``first_half + 1`` are a factorized reduce, else 0.
    """
    index = kind * edges + edge
    weight = index
    first_row = 0
    last_row = channels
    if halves:
        half = kind - first_half
        if half >= 2:
            index -= 2 * (edges - 1)
            weight -= edges
        elif half >= 0:
            index = first_half * edges + half
            weight -= half * edges
            first_row = half * (channels // 2)
            last_row = channels // 2 + half * (channels - channels // 2)
    return index, weight, first_row, last_row


@jit
def finish(
    gram_parts: tl.tensor, total_parts: tl.tensor, weights: tl.tensor, gamma: tl.tensor,
    pool_parts: tl.tensor, matrices: tl.tensor, biases: tl.tensor, gram: tl.tensor, total: tl.tensor,
    statistics: tl.tensor, pool_scales: tl.tensor, pool_biases: tl.tensor, pool_statistics: tl.tensor,
    n: Number, chunks: Number, edges: Number, primitives: Number,
    columns: tl.constexpr, pool_columns: tl.constexpr, first_half: tl.constexpr, halves: tl.constexpr,
    weighted: tl.constexpr, eps: tl.constexpr, channels: tl.constexpr, block: tl.constexpr, group: tl.constexpr,
) -> None:  # fmt: skip
    """Turn moments into matrices and biases, one term or pool a program.

    Tensors:
        gram_parts: [M, G, C, C], and ``total_parts`` [M, G, C]; their sums are written to ``gram`` [M, C, C] and
            ``total`` [M, C].
        weights: [Q, C, C].
        gamma: [E, primitives]; read if ``weighted``, else 1.
        pool_parts: [pools, G, 2, C].
        matrices: written: [T, C, C]; ``biases`` [T, C].
        statistics: written: mean, unbiased variance and inverse standard deviation of every weight, [3, Q, C].
        pool_scales: written: [pools, E, C]; ``pool_biases`` [pools, E, C].
        pool_statistics: written: as ``statistics``, [3, pools, C].
        columns: the column of gamma of each kind; ``pool_columns`` of each pool.
    """
    term = tl.program_id(0)
    terms = len(columns) * edges
    if term < terms:
        _finish_term(
            term, gram_parts, total_parts, weights, gamma, matrices, biases, gram, total, statistics,
            n, chunks, edges, primitives, columns, first_half, halves, weighted, eps, channels, block, group,
        )  # fmt: skip
    else:
        _finish_pool(
            term - terms, pool_parts, gamma, pool_scales, pool_biases, pool_statistics,
            n, chunks, edges, primitives, pool_columns, eps, channels, block,
        )  # fmt: skip


@jit
def _finish_term(
    term: tl.tensor, gram_parts: tl.tensor, total_parts: tl.tensor, weights: tl.tensor, gamma: tl.tensor,
    matrices: tl.tensor, biases: tl.tensor, gram: tl.tensor, total: tl.tensor, statistics: tl.tensor,
    n: Number, chunks: Number, edges: Number, primitives: Number,
    columns: tl.constexpr, first_half: tl.constexpr, halves: tl.constexpr, weighted: tl.constexpr,
    eps: tl.constexpr, channels: tl.constexpr, block: tl.constexpr, group: tl.constexpr,
) -> None:  # fmt: skip
    kind = term // edges
    edge = term % edges
    column = 0
    for number in tl.static_range(len(columns)):
        column = tl.where(kind == number, columns[number], column)
    index, weight, first_row, last_row = place(kind, edge, edges, first_half, halves, channels)
    square = channels * channels
    c = tl.arange(0, block)
    inside = c < channels
    part = (index * chunks).to(tl.int64)
    grams = sum_squares(gram_parts + part * square, chunks, c, channels, group)
    totals = sum_vectors(total_parts + part * channels, chunks, channels, c, channels)
    if (last_row - first_row == channels) | (edge == 0):  # all edges share the map of a half
        store_square(gram + index * square, c, grams, 0, channels, channels)
        tl.store(total + index * channels + c, totals, mask=inside)
    rows = (c >= first_row) & (c < last_row)
    w = load_square(weights + weight * square, c, channels).to(totals.dtype)
    w = tl.where(rows[:, None], w, 0.0)
    mean_z = totals / n
    covariance = grams / n - mean_z[:, None] * mean_z[None, :]
    mean = tl.sum(w * mean_z[None, :], 1)
    var = tl.sum(product(w, covariance, tl.zeros([block, block], totals.dtype)) * w, 1)
    var = tl.where(var < 0.0, 0.0, var)
    inverse = 1.0 / tl.sqrt(var + eps)
    scale = inverse
    if weighted:
        scale = inverse * tl.load(gamma + edge * primitives + column).to(totals.dtype)
    matrix = (scale[:, None] * w).to(matrices.dtype.element_ty)
    store_square(matrices + term * square, c, matrix, 0, channels, channels)
    bias = -tl.sum(matrix.to(totals.dtype) * mean_z[None, :], 1)
    tl.store(biases + term * channels + c, bias, mask=inside)
    step = (len(columns) - halves // 2) * edges * channels
    row = statistics + weight * channels + c
    tl.store(row, mean, mask=rows)
    tl.store(row + step, var * n / tl.maximum(n - 1, 1), mask=rows)
    tl.store(row + 2 * step, inverse, mask=rows)


@jit
def _finish_pool(
    kind: tl.tensor, pool_parts: tl.tensor, gamma: tl.tensor, scales: tl.tensor, biases: tl.tensor,
    statistics: tl.tensor, n: Number, chunks: Number, edges: Number, primitives: Number,
    columns: tl.constexpr, eps: tl.constexpr, channels: tl.constexpr, block: tl.constexpr,
) -> None:  # fmt: skip
    column = 0
    for number in tl.static_range(len(columns)):
        column = tl.where(kind == number, columns[number], column)
    c = tl.arange(0, block)
    inside = c < channels
    pool_parts += kind * chunks * 2 * channels
    totals = sum_vectors(pool_parts, chunks, 2 * channels, c, channels)
    mean = totals / n
    var = sum_vectors(pool_parts + channels, chunks, 2 * channels, c, channels) / n - mean * mean
    var = tl.where(var < 0.0, 0.0, var)
    inverse = 1.0 / tl.sqrt(var + eps)
    for edge in range(edges):
        scale = inverse * tl.load(gamma + edge * primitives + column).to(totals.dtype)
        at = (kind * edges + edge) * channels + c
        tl.store(scales + at, scale, mask=inside)
        tl.store(biases + at, -scale * mean, mask=inside)
    step = len(columns) * channels
    row = statistics + kind * channels + c
    tl.store(row, mean, mask=inside)
    tl.store(row + step, var * n / tl.maximum(n - 1, 1), mask=inside)
    tl.store(row + 2 * step, inverse, mask=inside)


@jit
def project(
    z: tl.tensor, matrices: tl.tensor, biases: tl.tensor, y: tl.tensor, n: Number,
    channels: tl.constexpr, block: tl.constexpr, positions: tl.constexpr,
) -> None:  # fmt: skip
    """Write y = relu(A z + b) of every term, [T, n, C]."""
    tile = tl.program_id(0)
    term = tl.program_id(1)
    c = tl.arange(0, block)
    p = tile * positions + tl.arange(0, positions)
    ok = p < n
    shift = term.to(tl.int64) * n * channels
    bias = tl.load(biases + term * channels + c, mask=c < channels, other=0.0)
    rows = load_rows(z + shift, p, ok, c, channels, block)
    matrix = load_square(matrices + term * channels * channels, c, channels)
    total = tl.zeros([positions, block], bias.dtype) + bias[None, :]
    total = product(rows, tl.trans(matrix), total)
    store_rows(y + shift, p, ok, c, tl.where(total < 0.0, 0.0, total), channels, block)


@jit
def add_terms(
    base: tl.tensor, z: tl.tensor, matrices: tl.tensor, biases: tl.tensor, pooled: tl.tensor,
    pool_scales: tl.tensor, pool_biases: tl.tensor, x: tl.tensor, gamma: tl.tensor, out: tl.tensor,
    n: Number, edges: Number, kinds: Number, primitives: Number,
    pools: tl.constexpr, skip_column: tl.constexpr, has_base: tl.constexpr,
    first_half: tl.constexpr, halves: tl.constexpr,
    channels: tl.constexpr, block: tl.constexpr, positions: tl.constexpr,
) -> None:  # fmt: skip
    """Write what a source adds to every node that reads it, on top of ``base``: [E, n, C].

    Tensors:
        base: the sums so far, [E, n, C]; read if ``has_base``.
        z: the maps [M, n, C] of all terms; ``matrices`` [T, C, C]; ``biases`` [T, C].
        pooled: [pools, n, C]; ``pool_scales`` and ``pool_biases`` [pools, E, C].
        x: the source's map [n, C]; read if there is a skip connection, whose column is ``skip_column``, else -1.
    """
    tile = tl.program_id(0)
    edge = tl.program_id(1)
    c = tl.arange(0, block)
    inside = c < channels
    p = tile * positions + tl.arange(0, positions)
    ok = p < n
    shift = edge.to(tl.int64) * n * channels
    total = tl.zeros([positions, block], biases.dtype.element_ty)
    if has_base:
        total += load_rows(base + shift, p, ok, c, channels, block).to(total.dtype)
    for kind in range(kinds):
        term = kind * edges + edge
        index, _, _, _ = place(kind, edge, edges, first_half, halves, channels)
        rows = load_rows(z + index.to(tl.int64) * n * channels, p, ok, c, channels, block)
        matrix = load_square(matrices + term * channels * channels, c, channels)
        total = product(rows, tl.trans(matrix), total)
        total += tl.load(biases + term * channels + c, mask=inside, other=0.0)[None, :]
    for kind in tl.static_range(pools):
        rows = load_rows(pooled + kind * n * channels, p, ok, c, channels, block).to(total.dtype)
        at = (kind * edges + edge) * channels + c
        scale = tl.load(pool_scales + at, mask=inside, other=0.0)
        total += rows * scale[None, :] + tl.load(pool_biases + at, mask=inside, other=0.0)[None, :]
    if skip_column >= 0:
        rows = load_rows(x, p, ok, c, channels, block).to(total.dtype)
        total += rows * tl.load(gamma + edge * primitives + skip_column).to(total.dtype)
    store_rows(out + shift, p, ok, c, total, channels, block)
