"""The operators of the backward pass, in the order in which a stage launches them.

A tensor that a stage does not have is None. Shapes are those of the kernels.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from search_space.supernet.fused.operators import operator, options, present, tiles


@operator("product_parts", "sum_parts")
def add_products(
    g: Tensor, z: Tensor, pooled: Tensor | None, x: Tensor | None, product_parts: Tensor, sum_parts: Tensor,
    kinds: int, first_half: int, halves: int,
) -> None:  # fmt: skip
    """Launch :func:`projection_gradient_kernels.add_products`."""
    from search_space.supernet.fused import projection_gradient_kernels

    edges, n, channels = g.shape
    projection_gradient_kernels.add_products[(kinds + 1) * edges, sum_parts.shape[1]](
        g, z, present(pooled, z), present(x, z), product_parts, sum_parts, n, edges, kinds,
        pools=0 if pooled is None else pooled.shape[0], skip=int(x is not None), first_half=first_half,
        halves=halves, **options(channels, n),
    )  # fmt: skip


@operator("from_g", "from_z", "constants", "pool_factors", "pool_constants", "d_weights", "d_gamma")
def finish_gradient(
    product_parts: Tensor, sum_parts: Tensor, weights: Tensor, gamma: Tensor | None, gram: Tensor,
    total: Tensor, statistics: Tensor, pool_statistics: Tensor | None, from_g: Tensor, from_z: Tensor,
    constants: Tensor, pool_factors: Tensor | None, pool_constants: Tensor | None, d_weights: Tensor | None,
    d_gamma: Tensor | None, count: int, edges: int, columns: Sequence[int], pool_columns: Sequence[int],
    skip_column: int, other_columns: Sequence[int], first_half: int, halves: int,
) -> None:  # fmt: skip
    """Launch :func:`projection_gradient_kernels.finish_gradient`; ``count`` is the number of positions."""
    from search_space.supernet.fused import projection_gradient_kernels

    terms, channels = constants.shape
    programs = terms - halves // 2 * edges + len(pool_columns)
    programs += edges if gamma is not None and (other_columns or skip_column >= 0) else 0
    dummy = constants
    projection_gradient_kernels.finish_gradient[programs,](
        product_parts, sum_parts, weights, present(gamma, dummy), gram, total, statistics,
        present(pool_statistics, dummy), from_g, from_z, constants, present(pool_factors, dummy),
        present(pool_constants, dummy), present(d_weights, dummy), present(d_gamma, dummy),
        count, sum_parts.shape[1], edges, 0 if gamma is None else gamma.shape[1], columns=tuple(columns),
        pool_columns=tuple(pool_columns), skip_column=skip_column, other_columns=tuple(other_columns),
        first_half=first_half, halves=halves, per_edge=gamma is not None,
        weights_needed=d_weights is not None, **options(channels),
    )  # fmt: skip


@operator("d_z", "d_pooled")
def map_gradients(
    g: Tensor, z: Tensor, pooled: Tensor | None, from_g: Tensor, from_z: Tensor, constants: Tensor,
    pool_factors: Tensor | None, pool_constants: Tensor | None, d_z: Tensor, d_pooled: Tensor | None,
    edges: int, kinds: int, per_edge: bool, first_half: int, halves: int,
) -> None:  # fmt: skip
    """Launch :func:`map_gradient_kernels.map_gradients`."""
    from search_space.supernet.fused import map_gradient_kernels

    maps, n, channels = z.shape
    pools = 0 if pooled is None else pooled.shape[0]
    map_gradient_kernels.map_gradients[tiles(channels, n, maps + pools), maps + pools](
        g, z, present(pooled, z), from_g, from_z, constants, present(pool_factors, constants),
        present(pool_constants, constants), d_z, present(d_pooled, d_z), n, edges, kinds, pools=pools,
        first_half=first_half, halves=halves, per_edge=per_edge, **options(channels, n, maps + pools),
    )  # fmt: skip


@operator("g", "product_parts", "sum_parts", "weight_parts")
def middle_gradient(
    d_z: Tensor, y: Tensor, z: Tensor, weights: Tensor, g: Tensor, product_parts: Tensor, sum_parts: Tensor,
    weight_parts: Tensor | None, height: int, width: int, edges: int, kernels: Sequence[int],
) -> None:  # fmt: skip
    """Launch :func:`depthwise_gradient_kernels.middle_gradient`."""
    from search_space.supernet.fused import depthwise_gradient_kernels

    terms, n, channels = z.shape
    depthwise_gradient_kernels.middle_gradient[terms, sum_parts.shape[1]](
        d_z, y, z, weights, g, product_parts, sum_parts, present(weight_parts, sum_parts), n, height, width,
        edges, 0 if weight_parts is None else weight_parts.stride(0), kernels=tuple(kernels),
        dilations=(1,) * len(kernels), taps=_taps(kernels), weights_needed=weight_parts is not None,
        **options(channels, n),
    )  # fmt: skip


@operator("weight_parts")
def kernel_gradient(
    d_z: Tensor, x: Tensor, weight_parts: Tensor, geometry: Sequence[int], edges: int,
    kernels: Sequence[int], dilations: Sequence[int], stride: int, rectify: bool,
) -> None:  # fmt: skip
    """Launch :func:`depthwise_gradient_kernels.kernel_gradient`."""
    from search_space.supernet.fused import depthwise_gradient_kernels

    _, n, channels = d_z.shape
    depthwise_gradient_kernels.kernel_gradient[edges * len(kernels), weight_parts.shape[0]](
        d_z, x, weight_parts, n, *geometry, edges, weight_parts.stride(0), kernels=tuple(kernels),
        dilations=tuple(dilations), taps=_taps(kernels), stride=stride, rectify=rectify,
        **options(channels, n),
    )  # fmt: skip


@operator("d_x", "d_rectified")
def source_gradient(
    d_z: Tensor, weights: Tensor, x: Tensor | None, d_pooled: Tensor | None, max_taps: Tensor | None,
    g: Tensor | None, gamma: Tensor, d_x: Tensor, d_rectified: Tensor | None, geometry: Sequence[int],
    edges: int, convolutions: int, kernels: Sequence[int], dilations: Sequence[int], halves: int,
    largest: Sequence[bool], skip_column: int, stride: int,
) -> None:  # fmt: skip
    """Launch :func:`depthwise_gradient_kernels.source_gradient`."""
    from search_space.supernet.fused import depthwise_gradient_kernels

    n, (count, channels) = d_z.shape[1], d_x.shape
    depthwise_gradient_kernels.source_gradient[tiles(channels, count, 1),](
        d_z, weights, present(x, d_x), present(d_pooled, d_z), present(max_taps, d_x), present(g, d_z), gamma, d_x,
        present(d_rectified, d_x), count, n, *geometry, edges, convolutions, gamma.shape[1],
        kernels=tuple(kernels), dilations=tuple(dilations), halves=halves, largest=tuple(largest),
        skip_column=skip_column, stride=stride, rectify=x is not None, **options(channels, count, 1),
    )  # fmt: skip


def _taps(kernels: Sequence[int]) -> int:
    """Return k^2 of the largest kernel, rounded up to a power of two."""
    return 1 << (max(kernels) ** 2 - 1).bit_length()
