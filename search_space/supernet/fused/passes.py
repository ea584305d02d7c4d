"""The forward and the backward pass of one source stage: which kernel gets which tensors.

Maps are ordered by what they are: outputs of the first convolutions of separable ones, dilated convolutions, the two
halves of a factorized reduce, outputs of the second convolutions of separable ones. So the maps that read the source
are neighbours, and so are the inputs of the last 1x1 convolutions.

Shapes: B batch, C channels, H height, W width; n positions of a node, E edges, M maps, T terms, G chunks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from search_space.supernet.fused import backward_operators, forward_operators, tiling
from search_space.supernet.fused.plan import Geometry, SourcePlan


class Saved(NamedTuple):
    """What the backward pass of a stage needs.

    Attributes:
        x: the source's map, [B H W, C].
        source: what the convolutions read, if it is not relu(x).
        weights, gamma: as they came.
        maps: z of all terms, [M, n, C].
        rectified: the inputs of the second convolutions, [separable terms, n, C].
        pooled: the pooled maps, [pools, n, C]; ``taps`` [n, C].
        gram, total: moments of the maps, [M, C, C] and [M, C].
        middle, last, pools: batch statistics: mean, unbiased variance and inverse standard deviation, [3, Q, C].
    """

    x: Tensor
    source: Tensor | None
    weights: Tensor
    gamma: Tensor
    maps: Tensor
    rectified: Tensor | None
    pooled: Tensor | None
    taps: Tensor | None
    gram: Tensor
    total: Tensor
    middle: Tensor | None
    last: Tensor
    pools: Tensor | None


def forward_pass(
    plan: SourcePlan, geometry: Geometry, x: Tensor, source: Tensor | None, base: Tensor | None,
    weights: Tensor, gamma: Tensor,
) -> tuple[Tensor, Saved]:  # fmt: skip
    """Return the sums of all nodes that read the source, [E, n, C], and what the backward pass needs."""
    n, channels, edges, separable = geometry.positions(x), plan.channels, plan.edges, plan.separable_terms
    chunks = tiling.chunks(channels, n, edges)
    first, second, middle, last = weights.split(plan.sections)
    maps = x.new_empty(plan.maps, n, channels)
    grams = weights.new_empty(plan.maps, chunks, channels, channels)
    totals = weights.new_empty(plan.maps, chunks, channels)
    gram, total = weights.new_empty(plan.maps, channels, channels), weights.new_empty(plan.maps, channels)
    direct = slice(plan.first_maps)
    forward_operators.convolve(
        x if source is None else source, first, maps[direct], grams[direct], totals[direct], geometry, edges,
        separable + plan.dilated_terms, plan.kernels, plan.dilations, plan.stride, source is None, True,
    )  # fmt: skip
    pooled, taps, pool_parts = _pooled(plan, geometry, x, n, weights)
    rectified = statistics = None
    if separable:
        matrices = maps.new_empty(separable, channels, channels)
        biases = weights.new_empty(separable, channels)
        statistics = weights.new_empty(3, separable, channels)
        forward_operators.finish(
            grams[:separable], totals[:separable], middle, None, None, matrices, biases, gram[:separable],
            total[:separable], statistics, None, None, None, n, edges, [0] * len(plan.separable), [], 0, 0,
        )  # fmt: skip
        rectified = maps.new_empty(separable, n, channels)
        forward_operators.project(maps[:separable], matrices, biases, rectified)
        inner = slice(plan.first_maps, None)
        forward_operators.convolve(
            rectified, second, maps[inner], grams[inner], totals[inner], geometry.of_nodes(), edges, separable,
            plan.second_kernels, [1] * len(plan.separable), 1, False, False,
        )  # fmt: skip
    kinds, inputs = len(plan.last_names), slice(separable, None)
    matrices = maps.new_empty(kinds * edges, channels, channels)
    biases = weights.new_empty(kinds * edges, channels)
    last_statistics = weights.new_empty(3, plan.last_weights, channels)
    pool_factors = [weights.new_empty(len(plan.pools), edges, channels) if plan.pools else None for _ in "ab"]
    pool_statistics = weights.new_empty(3, len(plan.pools), channels) if plan.pools else None
    forward_operators.finish(
        grams[inputs], totals[inputs], last, gamma, pool_parts, matrices, biases, gram[inputs], total[inputs],
        last_statistics, *pool_factors, pool_statistics, n, edges, plan.columns(plan.last_names),
        plan.columns(plan.pools), len(plan.dilated), plan.halves,
    )  # fmt: skip
    out = maps.new_empty(edges, n, channels)
    forward_operators.add_terms(
        base, maps[inputs], matrices, biases, pooled, *pool_factors, x if plan.skip_column >= 0 else None,
        gamma, out, kinds, plan.skip_column, len(plan.dilated), plan.halves,
    )  # fmt: skip
    return out, Saved(
        x, source, weights, gamma, maps, rectified, pooled, taps, gram, total, statistics, last_statistics,
        pool_statistics,
    )  # fmt: skip


def _pooled(
    plan: SourcePlan, geometry: Geometry, x: Tensor, n: int, weights: Tensor
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Return the pooled maps, the taps of the maxima and parts of the moments; None for what there is not."""
    if not plan.pools:
        return None, None, None
    pooled = x.new_empty(len(plan.pools), n, plan.channels)
    taps = x.new_empty(n, plan.channels, dtype=torch.uint8) if any(plan.largest) else None
    parts = weights.new_empty(len(plan.pools), tiling.chunks(plan.channels, n, 1), 2, plan.channels)
    forward_operators.pool(x, pooled, taps, parts, geometry, plan.largest, plan.stride)
    return pooled, taps, parts


class Gradients(NamedTuple):
    """Gradients of the inputs of a stage; None for those that are not needed."""

    x: Tensor | None
    source: Tensor | None
    weights: Tensor | None
    gamma: Tensor


def backward_pass(
    plan: SourcePlan, geometry: Geometry, saved: Saved, g: Tensor, x_needed: bool, weights_needed: bool
) -> Gradients:
    """Return the gradients of a stage's inputs.

    Args:
        plan: of the forward pass.
        geometry: of the forward pass.
        saved: by the forward pass.
        g: gradients of the nodes that read the source, [E, n, C].
        x_needed: whether the gradient of the source is needed.
        weights_needed: whether the gradients of the weights are needed; that of gamma always is.
    """
    n, channels, edges, separable = g.shape[1], plan.channels, plan.edges, plan.separable_terms
    chunks = tiling.chunks(channels, n, edges)
    first, _, _, last = saved.weights.split(plan.sections)
    new = saved.weights.new_empty
    d_weights = torch.empty_like(saved.weights) if weights_needed else None
    d_sections = [None] * 4 if d_weights is None else d_weights.split(plan.sections)
    maps, kinds, pools = saved.maps, len(plan.last_names), len(plan.pools)
    skip = int(plan.skip_column >= 0)
    inputs = slice(separable, None)
    halves = (len(plan.dilated), plan.halves)
    products = new(kinds * edges, chunks, channels, channels)
    sums = new(edges, chunks, 1 + pools + skip, channels)
    backward_operators.add_products(
        g, maps[inputs], saved.pooled, saved.x if skip else None, products, sums, kinds, *halves
    )
    from_g, from_z, constants = _factors(maps, new, kinds * edges)
    pool_factors = [new(pools, edges, channels), new(2, pools, channels)] if pools else [None, None]
    d_gamma = torch.empty_like(saved.gamma)
    backward_operators.finish_gradient(
        products, sums, last, saved.gamma, saved.gram[inputs], saved.total[inputs], saved.last, saved.pools,
        from_g, from_z, constants, *pool_factors, d_sections[3], d_gamma, n, edges,
        plan.columns(plan.last_names), plan.columns(plan.pools), plan.skip_column, plan.other_columns, *halves,
    )  # fmt: skip
    if not x_needed and not weights_needed:
        return Gradients(None, None, None, d_gamma)
    d_maps = torch.empty_like(maps)
    d_pooled = None if saved.pooled is None else torch.empty_like(saved.pooled)
    backward_operators.map_gradients(
        g, maps[inputs], saved.pooled, from_g, from_z, constants, *pool_factors, d_maps[inputs], d_pooled,
        edges, kinds, True, *halves,
    )  # fmt: skip
    parts = new(chunks, plan.section_ends[1]) if weights_needed else None
    if saved.rectified is not None:
        _separable_gradients(plan, geometry, saved, d_maps, parts, d_sections[2])
    reads = saved.x if saved.source is None else saved.source
    if parts is not None and d_weights is not None:
        backward_operators.kernel_gradient(
            d_maps[: separable + plan.dilated_terms], reads, parts, geometry, edges, plan.kernels,
            plan.dilations, plan.stride, saved.source is None,
        )  # fmt: skip
        torch.sum(parts, 0, out=d_weights[: plan.section_ends[1]])
    d_x = d_source = None
    if x_needed:
        d_x = torch.empty_like(saved.x)
        d_source = None if saved.source is None else torch.empty_like(saved.source)
        backward_operators.source_gradient(
            d_maps[: plan.first_maps], first, saved.x if saved.source is None else None, d_pooled, saved.taps,
            g if skip else None, saved.gamma, d_x, d_source, geometry, edges, separable + plan.dilated_terms,
            plan.kernels, plan.dilations, plan.halves, plan.largest, plan.skip_column, plan.stride,
        )  # fmt: skip
    return Gradients(d_x, d_source, d_weights, d_gamma)


def _factors(maps: Tensor, new: Callable[..., Tensor], terms: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return room for M1, M2 and c of ``terms`` terms: dz = g M1 + z M2 + c."""
    channels = maps.shape[2]
    square = (terms, channels, channels)
    return maps.new_empty(square), maps.new_empty(square), new(terms, channels)


def _separable_gradients(
    plan: SourcePlan, geometry: Geometry, saved: Saved, d_maps: Tensor, parts: Tensor | None,
    d_weights: Tensor | None,
) -> None:  # fmt: skip
    """Continue from the second to the first convolutions of separable ones: write the first maps of ``d_maps``.

    Args:
        plan: of the forward pass.
        geometry: of the forward pass.
        saved: by the forward pass.
        d_maps: gradients of the maps, [M, n, C].
        parts: written: parts of the kernels' gradients, [G, L]; None: not needed.
        d_weights: written: gradients of the middle 1x1 convolutions, [separable terms C C]; None: not needed.
    """
    terms, edges, channels = plan.separable_terms, plan.edges, plan.channels
    n = d_maps.shape[1]
    chunks = tiling.chunks(channels, n, edges)
    _, second, middle, _ = saved.weights.split(plan.sections)
    new = saved.weights.new_empty
    assert saved.rectified is not None
    assert saved.middle is not None
    z, g = saved.maps[:terms], torch.empty_like(saved.rectified)
    products, sums = new(terms, chunks, channels, channels), new(terms, chunks, 1, channels)
    backward_operators.middle_gradient(
        d_maps[plan.first_maps :], saved.rectified, z, second, g, products, sums,
        None if parts is None else parts[:, plan.section_ends[0] :], geometry.out_height, geometry.out_width,
        edges, plan.second_kernels,
    )  # fmt: skip
    from_g, from_z, constants = _factors(saved.maps, new, terms)
    backward_operators.finish_gradient(
        products, sums, middle, None, saved.gram[:terms], saved.total[:terms], saved.middle, None, from_g, from_z,
        constants, None, None, d_weights, None, n, edges, [0] * len(plan.separable), [], -1, [], 0, 0,
    )  # fmt: skip
    backward_operators.map_gradients(
        g, z, None, from_g, from_z, constants, None, None, d_maps[:terms], None, edges,
        len(plan.separable), False, 0, 0,
    )  # fmt: skip
