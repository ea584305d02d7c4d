"""The kernels as operators of torch: one operator is one kernel launch.

Every operator writes into tensors that its caller allocated. So a step can be captured in a CUDA graph, and its
operations can be counted on a machine without a GPU: on fake tensors an operator does nothing. A tensor that a stage
does not have is None. Shapes are those of the kernels, which are compiled on first use.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from search_space.normalization import EPS
from search_space.supernet.fused import tiling

LIBRARY = torch.library.Library("shrinksweep", "FRAGMENT")


def _operator(schema: str) -> Callable[[Callable[..., None]], Any]:
    """Return a decorator that makes a function an operator, whose calls go through torch's dispatcher."""

    def register(launch: Callable[..., None]) -> Any:
        name = schema.split("(")[0]
        LIBRARY.define(f"{schema} -> ()")
        for key in ("CUDA", "CPU"):  # on the CPU, kernels run in Triton's interpreter
            LIBRARY.impl(name, launch, key)
        LIBRARY.impl(name, lambda *_: None, "Meta")
        return getattr(torch.ops.shrinksweep, name).default

    return register


def _options(channels: int, count: int | None = None, programs: int = tiling.PROGRAMS) -> dict[str, int]:
    """Return the block sizes of a kernel.

    Args:
        channels: of the maps.
        count: positions of a map, if the kernel works on tiles.
        programs: programs that work on each tile, if every program has one tile.
    """
    options = {"channels": channels, "block": tiling.block(channels), "num_stages": tiling.stages(channels)}
    if count is None:
        warps = tiling.finishing_warps(channels)
        return options | {"group": tiling.group(channels), "num_warps": warps}
    positions = tiling.positions(channels, count, programs)
    return options | {"positions": positions, "num_warps": tiling.warps(channels)}


def _tiles(channels: int, count: int, programs: int) -> int:
    """Return the number of tiles; ``programs`` work on each."""
    return -(-count // tiling.positions(channels, count, programs))


@_operator(
    "convolve(Tensor x, Tensor weights, Tensor(a!) z, Tensor(b!) gram, Tensor(c!) total, int[] geometry,"
    " int edges, int convolutions, int[] kernels, int[] dilations, int stride, bool rectify, bool shared)"
)
def convolve(
    x: Tensor, weights: Tensor, z: Tensor, gram: Tensor, total: Tensor, geometry: Sequence[int], edges: int,
    convolutions: int, kernels: Sequence[int], dilations: Sequence[int], stride: int, rectify: bool, shared: bool,
) -> None:  # fmt: skip
    """Launch :func:`depthwise_kernels.convolve`."""
    from search_space.supernet.fused import depthwise_kernels

    terms, n, channels = z.shape
    depthwise_kernels.convolve[terms, gram.shape[1]](
        x, weights, z, gram, total, n, *geometry, edges, convolutions, kernels=tuple(kernels),
        dilations=tuple(dilations), stride=stride, rectify=rectify, shared=shared, **_options(channels, n),
    )  # fmt: skip


@_operator(
    "pool(Tensor x, Tensor(a!) pooled, Tensor(b!)? taps, Tensor(c!) moments, int[] geometry, bool[] largest,"
    " int stride)"
)
def pool(
    x: Tensor, pooled: Tensor, taps: Tensor | None, moments: Tensor, geometry: Sequence[int],
    largest: Sequence[bool], stride: int,
) -> None:  # fmt: skip
    """Launch :func:`pool_kernels.pool`."""
    from search_space.supernet.fused import pool_kernels

    pools, n, channels = pooled.shape
    pool_kernels.pool[pools, moments.shape[1]](
        x, pooled, pooled if taps is None else taps, moments, n, *geometry, largest=tuple(largest),
        stride=stride, **_options(channels, n),
    )  # fmt: skip


@_operator(
    "finish(Tensor gram_parts, Tensor total_parts, Tensor weights, Tensor? gamma, Tensor? pool_parts,"
    " Tensor(a!) matrices, Tensor(b!) biases, Tensor(c!) gram, Tensor(d!) total, Tensor(e!) statistics,"
    " Tensor(f!)? pool_scales, Tensor(g!)? pool_biases, Tensor(h!)? pool_statistics,"
    " int count, int edges, int[] columns, int[] pool_columns, int first_half, int halves)"
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
        gram_parts, total_parts, weights, _or(gamma, dummy), _or(pool_parts, dummy), matrices, biases, gram,
        total, statistics, _or(pool_scales, dummy), _or(pool_biases, dummy), _or(pool_statistics, dummy),
        count, chunks, edges, 0 if gamma is None else gamma.shape[1], columns=tuple(columns),
        pool_columns=tuple(pool_columns), first_half=first_half, halves=halves,
        weighted=gamma is not None, eps=EPS, **_options(channels),
    )  # fmt: skip


@_operator("project(Tensor z, Tensor matrices, Tensor biases, Tensor(a!) y)")
def project(z: Tensor, matrices: Tensor, biases: Tensor, y: Tensor) -> None:
    """Launch :func:`projection_kernels.project`."""
    from search_space.supernet.fused import projection_kernels

    terms, n, channels = z.shape
    projection_kernels.project[_tiles(channels, n, terms), terms](
        z, matrices, biases, y, n, **_options(channels, n, terms)
    )


@_operator(
    "add_terms(Tensor? base, Tensor z, Tensor matrices, Tensor biases, Tensor? pooled, Tensor? pool_scales,"
    " Tensor? pool_biases, Tensor? x, Tensor gamma, Tensor(a!) out, int kinds, int skip_column, int first_half,"
    " int halves)"
)
def add_terms(
    base: Tensor | None, z: Tensor, matrices: Tensor, biases: Tensor, pooled: Tensor | None,
    pool_scales: Tensor | None, pool_biases: Tensor | None, x: Tensor | None, gamma: Tensor, out: Tensor,
    kinds: int, skip_column: int, first_half: int, halves: int,
) -> None:  # fmt: skip
    """Launch :func:`projection_kernels.add_terms`."""
    from search_space.supernet.fused import projection_kernels

    edges, n, channels = out.shape
    projection_kernels.add_terms[_tiles(channels, n, edges), edges](
        _or(base, out), z, matrices, biases, _or(pooled, out), _or(pool_scales, biases),
        _or(pool_biases, biases), _or(x, out), gamma, out, n, edges, kinds, gamma.shape[1],
        pools=0 if pooled is None else pooled.shape[0], skip_column=skip_column, has_base=base is not None,
        first_half=first_half, halves=halves, **_options(channels, n, edges),
    )  # fmt: skip


@_operator(
    "add_products(Tensor g, Tensor z, Tensor? pooled, Tensor? x, Tensor(a!) product_parts, Tensor(b!) sum_parts,"
    " int kinds, int first_half, int halves)"
)
def add_products(
    g: Tensor, z: Tensor, pooled: Tensor | None, x: Tensor | None, product_parts: Tensor, sum_parts: Tensor,
    kinds: int, first_half: int, halves: int,
) -> None:  # fmt: skip
    """Launch :func:`projection_gradient_kernels.add_products`."""
    from search_space.supernet.fused import projection_gradient_kernels

    edges, n, channels = g.shape
    projection_gradient_kernels.add_products[(kinds + 1) * edges, sum_parts.shape[1]](
        g, z, _or(pooled, z), _or(x, z), product_parts, sum_parts, n, edges, kinds,
        pools=0 if pooled is None else pooled.shape[0], skip=int(x is not None), first_half=first_half,
        halves=halves, **_options(channels, n),
    )  # fmt: skip


@_operator(
    "finish_gradient(Tensor product_parts, Tensor sum_parts, Tensor weights, Tensor? gamma, Tensor gram,"
    " Tensor total, Tensor statistics, Tensor? pool_statistics, Tensor(a!) from_g, Tensor(b!) from_z,"
    " Tensor(c!) constants, Tensor(d!)? pool_factors, Tensor(e!)? pool_constants, Tensor(f!)? d_weights,"
    " Tensor(g!)? d_gamma, int count, int edges, int[] columns, int[] pool_columns, int skip_column,"
    " int[] other_columns, int first_half, int halves)"
)
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
        product_parts, sum_parts, weights, _or(gamma, dummy), gram, total, statistics,
        _or(pool_statistics, dummy), from_g, from_z, constants, _or(pool_factors, dummy),
        _or(pool_constants, dummy), _or(d_weights, dummy), _or(d_gamma, dummy),
        count, sum_parts.shape[1], edges, 0 if gamma is None else gamma.shape[1], columns=tuple(columns),
        pool_columns=tuple(pool_columns), skip_column=skip_column, other_columns=tuple(other_columns),
        first_half=first_half, halves=halves, per_edge=gamma is not None,
        weights_needed=d_weights is not None, **_options(channels),
    )  # fmt: skip


@_operator(
    "map_gradients(Tensor g, Tensor z, Tensor? pooled, Tensor from_g, Tensor from_z, Tensor constants,"
    " Tensor? pool_factors, Tensor? pool_constants, Tensor(a!) d_z, Tensor(b!)? d_pooled, int edges, int kinds,"
    " bool per_edge, int first_half, int halves)"
)
def map_gradients(
    g: Tensor, z: Tensor, pooled: Tensor | None, from_g: Tensor, from_z: Tensor, constants: Tensor,
    pool_factors: Tensor | None, pool_constants: Tensor | None, d_z: Tensor, d_pooled: Tensor | None,
    edges: int, kinds: int, per_edge: bool, first_half: int, halves: int,
) -> None:  # fmt: skip
    """Launch :func:`projection_gradient_kernels.map_gradients`."""
    from search_space.supernet.fused import projection_gradient_kernels

    maps, n, channels = z.shape
    pools = 0 if pooled is None else pooled.shape[0]
    projection_gradient_kernels.map_gradients[_tiles(channels, n, maps + pools), maps + pools](
        g, z, _or(pooled, z), from_g, from_z, constants, _or(pool_factors, constants),
        _or(pool_constants, constants), d_z, _or(d_pooled, d_z), n, edges, kinds, pools=pools,
        first_half=first_half, halves=halves, per_edge=per_edge, **_options(channels, n, maps + pools),
    )  # fmt: skip


@_operator(
    "middle_gradient(Tensor d_z, Tensor y, Tensor z, Tensor weights, Tensor(a!) g, Tensor(b!) product_parts,"
    " Tensor(c!) sum_parts, Tensor(d!)? weight_parts, int height, int width, int edges, int[] kernels)"
)
def middle_gradient(
    d_z: Tensor, y: Tensor, z: Tensor, weights: Tensor, g: Tensor, product_parts: Tensor, sum_parts: Tensor,
    weight_parts: Tensor | None, height: int, width: int, edges: int, kernels: Sequence[int],
) -> None:  # fmt: skip
    """Launch :func:`depthwise_gradient_kernels.middle_gradient`."""
    from search_space.supernet.fused import depthwise_gradient_kernels

    terms, n, channels = z.shape
    depthwise_gradient_kernels.middle_gradient[terms, sum_parts.shape[1]](
        d_z, y, z, weights, g, product_parts, sum_parts, _or(weight_parts, sum_parts), n, height, width,
        edges, 0 if weight_parts is None else weight_parts.stride(0), kernels=tuple(kernels),
        dilations=(1,) * len(kernels), taps=_taps(kernels), weights_needed=weight_parts is not None,
        **_options(channels, n),
    )  # fmt: skip


@_operator(
    "kernel_gradient(Tensor d_z, Tensor x, Tensor(a!) weight_parts, int[] geometry, int edges, int[] kernels,"
    " int[] dilations, int stride, bool rectify)"
)
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
        **_options(channels, n),
    )  # fmt: skip


@_operator(
    "source_gradient(Tensor d_z, Tensor weights, Tensor? x, Tensor? d_pooled, Tensor? max_taps, Tensor? g,"
    " Tensor gamma, Tensor(a!) d_x, Tensor(b!)? d_rectified, int[] geometry, int edges, int convolutions,"
    " int[] kernels, int[] dilations, int halves, bool[] largest, int skip_column, int stride)"
)
def source_gradient(
    d_z: Tensor, weights: Tensor, x: Tensor | None, d_pooled: Tensor | None, max_taps: Tensor | None,
    g: Tensor | None, gamma: Tensor, d_x: Tensor, d_rectified: Tensor | None, geometry: Sequence[int],
    edges: int, convolutions: int, kernels: Sequence[int], dilations: Sequence[int], halves: int,
    largest: Sequence[bool], skip_column: int, stride: int,
) -> None:  # fmt: skip
    """Launch :func:`depthwise_gradient_kernels.source_gradient`."""
    from search_space.supernet.fused import depthwise_gradient_kernels

    n, (count, channels) = d_z.shape[1], d_x.shape
    depthwise_gradient_kernels.source_gradient[_tiles(channels, count, 1),](
        d_z, weights, _or(x, d_x), _or(d_pooled, d_z), _or(max_taps, d_x), _or(g, d_z), gamma, d_x,
        _or(d_rectified, d_x), count, n, *geometry, edges, convolutions, gamma.shape[1],
        kernels=tuple(kernels), dilations=tuple(dilations), halves=halves, largest=tuple(largest),
        skip_column=skip_column, stride=stride, rectify=x is not None, **_options(channels, count, 1),
    )  # fmt: skip


def _or(tensor: Tensor | None, dummy: Tensor) -> Tensor:
    """Return ``tensor``, or any tensor in place of one that the kernel does not read."""
    return dummy if tensor is None else tensor


def _taps(kernels: Sequence[int]) -> int:
    """Return k^2 of the largest kernel, rounded up to a power of two."""
    return 1 << (max(kernels) ** 2 - 1).bit_length()
