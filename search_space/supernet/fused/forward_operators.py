"""The operators of the forward pass, in the order in which a stage launches them.

A tensor that a stage does not have is None. Shapes are those of the kernels.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from search_space.normalization import EPS
from search_space.supernet.fused.operators import operator, options, present, tiles


@operator("z", "gram", "total")
def convolve(
    x: Tensor, weights: Tensor, z: Tensor, gram: Tensor, total: Tensor, geometry: Sequence[int], edges: int,
    convolutions: int, kernels: Sequence[int], dilations: Sequence[int], stride: int, rectify: bool, shared: bool,
) -> None:  # fmt: skip
    """Launch :func:`depthwise_kernels.convolve`."""
    from search_space.supernet.fused import depthwise_kernels

    terms, n, channels = z.shape
    depthwise_kernels.convolve[terms, gram.shape[1]](
        x, weights, z, gram, total, n, *geometry, edges, convolutions, kernels=tuple(kernels),
        dilations=tuple(dilations), stride=stride, rectify=rectify, shared=shared, **options(channels, n),
    )  # fmt: skip


@operator("pooled", "taps", "moments")
def pool(
    x: Tensor, pooled: Tensor, taps: Tensor | None, moments: Tensor, geometry: Sequence[int],
    largest: Sequence[bool], stride: int,
) -> None:  # fmt: skip
    """Launch :func:`pool_kernels.pool`."""
    from search_space.supernet.fused import pool_kernels

    pools, n, channels = pooled.shape
    pool_kernels.pool[pools, moments.shape[1]](
        x, pooled, pooled if taps is None else taps, moments, n, *geometry, largest=tuple(largest),
        stride=stride, **options(channels, n),
    )  # fmt: skip


@operator(
    "matrices", "biases", "gram", "total", "statistics", "pool_scales", "pool_biases", "pool_statistics"
)
def finish(
    gram_parts: Tensor, total_parts: Tensor, weights: Tensor, gamma: Tensor | None, pool_parts: Tensor | None,
    matrices: Tensor, biases: Tensor, gram: Tensor, total: Tensor, statistics: Tensor,
    pool_scales: Tensor | None, pool_biases: Tensor | None, pool_statistics: Tensor | None,
    count: int, edges: int, columns: Sequence[int], pool_columns: Sequence[int], first_half: int, halves: int,
) -> None:  # fmt: skip
    """Launch :func:`projection_kernels.finish`; ``count`` is the number of positions."""
    from search_space.supernet.fused import projection_kernels

    terms, channels = biases.shape
    chunks, dummy = total_parts.shape[1], biases
    projection_kernels.finish[terms + len(pool_columns),](
        gram_parts, total_parts, weights, present(gamma, dummy), present(pool_parts, dummy), matrices, biases, gram,
        total, statistics, present(pool_scales, dummy), present(pool_biases, dummy), present(pool_statistics, dummy),
        count, chunks, edges, 0 if gamma is None else gamma.shape[1], columns=tuple(columns),
        pool_columns=tuple(pool_columns), first_half=first_half, halves=halves,
        weighted=gamma is not None, eps=EPS, **options(channels),
    )  # fmt: skip


@operator("y")
def project(z: Tensor, matrices: Tensor, biases: Tensor, y: Tensor) -> None:
    """Launch :func:`projection_kernels.project`."""
    from search_space.supernet.fused import projection_kernels

    terms, n, channels = z.shape
    projection_kernels.project[tiles(channels, n, terms), terms](
        z, matrices, biases, y, n, **options(channels, n, terms)
    )


@operator("out")
def add_terms(
    base: Tensor | None, z: Tensor, matrices: Tensor, biases: Tensor, pooled: Tensor | None,
    pool_scales: Tensor | None, pool_biases: Tensor | None, x: Tensor | None, gamma: Tensor, out: Tensor,
    kinds: int, skip_column: int, first_half: int, halves: int,
) -> None:  # fmt: skip
    """Launch :func:`projection_kernels.add_terms`."""
    from search_space.supernet.fused import projection_kernels

    edges, n, channels = out.shape
    projection_kernels.add_terms[tiles(channels, n, edges), edges](
        present(base, out), z, matrices, biases, present(pooled, out), present(pool_scales, biases),
        present(pool_biases, biases), present(x, out), gamma, out, n, edges, kinds, gamma.shape[1],
        pools=0 if pooled is None else pooled.shape[0], skip_column=skip_column, has_base=base is not None,
        first_half=first_half, halves=halves, **options(channels, n, edges),
    )  # fmt: skip
