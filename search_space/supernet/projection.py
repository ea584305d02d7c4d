"""1x1 convolution, batch normalization and the sum over primitives as one operation, exact in training.

In a supernet almost every primitive ends in the same three steps: a 1x1 convolution y = W z, a batch norm without
affine parameters, and a multiplication by the primitive's weight gamma. Then all terms that enter a node are summed.
None of the intermediate maps needs to be stored. The batch statistics of y follow from the first two moments of z,

    mean(y) = W mean(z),    var(y) = diag(W cov(z) W^T),

so that all steps are one matrix product with a rescaled W, accumulated in place over the terms t of a node:

    out = sum_t  A_t z_t + b_t,    A_t = diag(gamma_t / sqrt(var(y_t) + eps)) W_t,    b_t = -A_t mean(z_t).

This equals the textbook formula up to rounding. cov(z) = E[z z^T] - mean(z) mean(z)^T loses digits where the mean of a
channel is many deviations from zero: in float32 the result is off by 7e-6 at 10 deviations, 6e-5 at 30, 9e-4 at 100 and
7% at 1,000 (the textbook formula: 7e-5 at 1,000). BN(W z) does not depend on a constant that is added to z. So on the
CPU, maps beyond :data:`FAR` deviations are shifted by their mean first; then all digits stay. On a GPU nothing looks at
the moments, because that would stop the stream: there the range above holds.

The backward pass is written by hand (see :class:`_ProjectNorm`). It needs only z: neither y nor its normalized form is
ever stored.

On narrow maps several terms are concatenated along the channels of one map, so that one matrix product computes all of
them. On wide maps every term is a map of its own.

Shapes: B batch, C channels, H height, W width; n = B H W positions, T terms, k terms in one map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from typing import TypeAlias, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch._subclasses.fake_tensor import DataDependentOutputException
from torch.autograd.function import FunctionCtx
from typing_extensions import override

from search_space.normalization import EPS, MOMENTUM, SharesStatistics, current_replay
from search_space.supernet.block_products import (
    add_products,
    inner_products,
    product,
    stack_columns,
    stack_rows,
    unstack_columns,
)


class ProjectNorm(SharesStatistics):
    """T 1x1 convolutions C -> C, each followed by a batch norm, on maps in channels-last layout.

    Args:
        terms: T.
        channels: C.

    Attributes:
        weight: the 1x1 convolutions, [T, C, C].
        running_mean: as in ``nn.BatchNorm2d``, [T, C].
        running_var: as in ``nn.BatchNorm2d``, [T, C].
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, terms: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(terms, channels, channels))
        nn.init.uniform_(self.weight, -(channels**-0.5), channels**-0.5)  # nn.Conv2d's initialization
        self.register_buffer("running_mean", torch.zeros(terms, channels))
        self.register_buffer("running_var", torch.ones(terms, channels))

    def rectified(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Return relu(BN(W_t z_t)) for all T terms, as maps [B, k C, H, W] like ``maps``."""
        return self._project(maps, self.weight.new_ones(self.weight.shape[0]), None, ())

    def summed(
        self, groups: Sequence[Sequence[Tensor]], gamma: Tensor, base: Tensor | None = None
    ) -> list[Tensor]:
        """Return sum_t gamma_t BN(W_t z_t) over the terms of each group, a map [B, C, H, W] per group.

        Args:
            groups: the maps [B, k C, H, W]; B, H and W may differ between groups, but not their product.
            gamma: weights of the terms, group by group, [T].
            base: added to the sum of the first group.
        """
        maps = [z for group in groups for z in group]
        return self._project(maps, gamma, base, tuple(len(group) for group in groups))

    def _project(
        self, maps: Sequence[Tensor], gamma: Tensor, base: Tensor | None, sums: tuple[int, ...]
    ) -> list[Tensor]:
        with torch.autocast(maps[0].device.type, enabled=False):
            if not self.training:
                return self._evaluate(maps, gamma, base, sums)
            replay = current_replay()
            known = cast("_Measured | None", replay.recall(self) if replay else None)
            moments, shift = known or self._measure(maps)
            if replay and known is None:
                replay.remember(self, (moments, shift))
            if shift is not None:
                maps = _shifted(maps, shift)
            return list(_ProjectNorm.apply(self.weight, gamma, base, sums, self.group, moments, *maps))

    @torch.no_grad()
    def _measure(self, maps: Sequence[Tensor]) -> _Measured:
        """Return the moments of the maps, and what was subtracted from them before, [T, C]; None: nothing."""
        moments, shift = _moments([_rows(z) for z in maps], self.weight, self.group), None
        if maps[0].device.type == "cpu" and moments.far_from_zero():
            shift = moments.mean_z.to(maps[0].dtype)
            moments = _moments([_rows(z) for z in _shifted(maps, shift)], self.weight, self.group)
        self._update_running_statistics(moments, shift)
        return moments, shift

    def _update_running_statistics(self, moments: Moments, shift: Tensor | None) -> None:
        with torch.no_grad():
            unbiased = moments.var * (moments.count / max(moments.count - 1, 1))
            mean = moments.mean
            if shift is not None:
                mean = mean + (self.weight * shift.to(self.weight.dtype)[:, None, :]).sum(-1)
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), MOMENTUM)
            self.running_var.lerp_(unbiased.to(self.running_var.dtype), MOMENTUM)

    def _evaluate(
        self, maps: Sequence[Tensor], gamma: Tensor, base: Tensor | None, sums: tuple[int, ...]
    ) -> list[Tensor]:
        scale = gamma[:, None] * (self.running_var + EPS).rsqrt()
        return _multiply(maps, scale[..., None] * self.weight, -(scale * self.running_mean), base, sums)

    @override
    def extra_repr(self) -> str:
        return f"{self.weight.shape[0]} x {self.weight.shape[1]}"


FAR = 10.0
"""Deviations of a channel's mean from zero beyond which maps are shifted."""


@dataclass
class Moments:
    """First two moments of z over the positions of this rank, and the statistics of y = W z over those of all ranks.

    Attributes:
        gram: z^T z of each term, [T, C, C].
        total: sum of z over the positions, [T, C].
        mean_z: mean of z over all ranks, [T, C].
        var_z: biased variance of z over all ranks, [T, C].
        mean: mean of y over all ranks, [T, C].
        var: biased variance of y over all ranks, [T, C].
        count: positions on all ranks.
    """

    gram: Tensor
    total: Tensor
    mean_z: Tensor
    var_z: Tensor
    mean: Tensor
    var: Tensor
    count: int

    def far_from_zero(self) -> bool:
        """Return whether the mean of a channel is more than :data:`FAR` deviations from zero, on any rank."""
        try:
            return bool((self.mean_z.square() > FAR**2 * self.var_z).any())
        except DataDependentOutputException:  # fake tensors, in an estimate of memory, have no values
            return False


def _moments(rows: Sequence[Tensor], weight: Tensor, group: dist.ProcessGroup | None) -> Moments:
    channels = weight.shape[-1]
    grams, totals = [], []
    for z in rows:
        grams.append(inner_products(z, z, channels, weight.dtype))
        totals.append(z.sum(0, dtype=weight.dtype).view(-1, channels))
    gram, total = torch.cat(grams), torch.cat(totals)
    all_gram, all_total, count = _over_ranks(gram, total, rows[0].shape[0], group)
    mean_z = all_total / count
    covariance = torch.baddbmm(all_gram, mean_z[:, :, None], mean_z[:, None, :], beta=1 / count, alpha=-1)
    var = (weight.bmm(covariance) * weight).sum(-1).clamp_min_(0)
    var_z = covariance.diagonal(dim1=1, dim2=2)
    return Moments(gram, total, mean_z, var_z, (weight * mean_z[:, None, :]).sum(-1), var, count)


_Measured: TypeAlias = "tuple[Moments, Tensor | None]"
"""Moments of maps, and what was subtracted from them before, [T, C]; None: nothing."""


class _Context(FunctionCtx):
    saved_tensors: tuple[Tensor, ...]
    needs_input_grad: tuple[bool, ...]
    sums: tuple[int, ...]
    group: dist.ProcessGroup | None
    count: int
    maps: int


class _ProjectNorm(torch.autograd.Function):
    """out_t = gamma_t BN(W_t z_t).

    ``sums`` holds the number of maps in each group: the terms of a group are summed. If it is empty, every map is
    returned on its own, after a ReLU.

    With y = W z, r = 1 / sqrt(var(y) + eps), scale = gamma r and the incoming gradient g, the gradient of batch norm is
    dy = scale g - k1 - k2 (y - mean(y)), where k1 = scale sum(g) / n, k2 = scale r d / n and
    d = r (sum(g y) - mean(y) sum(g)). Summed over the channels, d is the gradient of gamma. Since y = W z, the gradient
    of z is

        dz = g (diag(scale) W) - z (W^T diag(k2) W) - (k1 - k2 mean(y)) W,

    and all sums over positions follow from the two small matrices P = g^T z and z^T z. The gradient of W is

        dW = diag(scale) P - k1 sum(z)^T - diag(k2) (W z^T z - mean(y) sum(z)^T).
    """

    @staticmethod
    @override
    def forward(
        ctx: _Context, weight: Tensor, gamma: Tensor, base: Tensor | None, sums: tuple[int, ...],
        group: dist.ProcessGroup | None, moments: Moments, *maps: Tensor,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        inverse = (moments.var + EPS).rsqrt()
        scale = gamma[:, None] * inverse
        matrices = scale[..., None] * weight
        bias = -(scale * moments.mean)
        if (
            maps[0].dtype != weight.dtype
        ):  # b = -A mean(z), with A as it will be rounded: no channel is shifted
            matrices = matrices.to(maps[0].dtype)
            bias = -(matrices.to(weight.dtype) * moments.mean_z[:, None, :]).sum(-1)
        outs = _multiply(maps, matrices, bias, base, sums)
        rectified = () if sums else outs
        ctx.save_for_backward(
            weight, moments.gram, moments.total, moments.mean, inverse, scale, *maps, *rectified
        )
        ctx.sums, ctx.group, ctx.count, ctx.maps = sums, group, moments.count, len(maps)
        return tuple(outs)

    @staticmethod
    @override
    def backward(ctx: _Context, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        weight, gram, total, mean, inverse, scale, *saved = ctx.saved_tensors
        maps, outs = saved[: ctx.maps], saved[ctx.maps :]
        del saved  # the lists below hold the only references: recomputed maps are freed after use
        rows = [_rows(z) for z in maps]
        channels, dtype = weight.shape[-1], weight.dtype
        terms = _terms(rows, channels)
        if ctx.sums:
            of_groups = [_rows(g) for g in gradients]
            incoming = [g for g, count in zip(of_groups, ctx.sums, strict=True) for _ in range(count)]
            products = torch.cat(
                [unstack_columns(product(g, z, dtype)) for g, z in zip(incoming, rows, strict=True)]
            )
            totals = [g.sum(0, dtype=dtype) for g in of_groups]
            of_maps = [g for g, count in zip(totals, ctx.sums, strict=True) for _ in range(count)]
            sums = torch.cat([g.expand(t.stop - t.start, -1) for g, t in zip(of_maps, terms, strict=True)])
        else:
            incoming = [_rows(torch.ops.aten.threshold_backward(g, outs.pop(0), 0)) for g in gradients]
            pairs = zip(incoming, rows, strict=True)
            products = torch.cat([inner_products(g, z, channels, dtype) for g, z in pairs])
            sums = torch.cat([g.sum(0, dtype=dtype).view(-1, channels) for g in incoming])
        d_gamma = inverse * ((weight * products).sum(-1) - mean * sums)
        all_d, all_sums, _ = _over_ranks(d_gamma, sums, 0, ctx.group)
        k1 = scale * all_sums / ctx.count
        k2 = scale * inverse * all_d / ctx.count
        from_g = scale[..., None] * weight
        from_z = -(weight.mT * k2[:, None, :]).bmm(weight)
        constant = ((k2 * mean - k1)[:, None, :].bmm(weight)).squeeze(1)
        d_maps: list[Tensor | None] = []
        for needs_grad, t in zip(ctx.needs_input_grad[6:], terms, strict=True):
            x, z, g = maps.pop(0), rows.pop(0), incoming.pop(0)
            if not needs_grad:
                d_maps.append(None)
                continue
            if ctx.sums:
                bias = constant[t].reshape(-1).to(z.dtype)
                d_z = torch.addmm(bias, g, stack_columns(from_g[t]).to(z.dtype))
            else:
                d_z = add_products(_broadcast(constant[t], z), g, from_g[t])
            d_maps.append(_as_map(add_products(d_z, z, from_z[t]), x))
        d_weight = None
        if ctx.needs_input_grad[0]:
            centred = torch.baddbmm(weight.bmm(gram), mean[..., None], total[:, None, :], alpha=-1)
            d_weight = (
                scale[..., None] * products - k1[..., None] * total[:, None, :] - k2[..., None] * centred
            )
        d_base = gradients[0] if ctx.needs_input_grad[2] else None
        return (d_weight, d_gamma.sum(-1), d_base, None, None, None, *d_maps)


def _multiply(
    maps: Sequence[Tensor], matrices: Tensor, biases: Tensor, base: Tensor | None, sums: tuple[int, ...]
) -> list[Tensor]:
    """Return A_t z_t + b_t summed over groups of ``sums`` maps, ``base`` added to the first; if empty, relu of each."""
    rows = [_rows(x) for x in maps]
    parts = zip(maps, rows, _terms(rows, matrices.shape[-1]), strict=True)
    if not sums:
        return [
            _as_map(add_products(_broadcast(biases[t], z), z, matrices[t].mT).relu_(), x) for x, z, t in parts
        ]
    outs = []
    for count in sums:
        group = list(islice(parts, count))
        x, z, _ = group[0]
        bias = biases[group[0][2].start : group[-1][2].stop].sum(0).to(z.dtype)
        total = _broadcast(bias, z) if base is None else _rows(base) + bias
        for _, z, t in group:
            total.addmm_(z, stack_rows(matrices[t].mT).to(z.dtype))
        outs.append(_as_map(total, x))
        base = None
    return outs


def _shifted(maps: Sequence[Tensor], shift: Tensor) -> list[Tensor]:
    """Return the maps [B, k C, H, W] without ``shift`` [T, C], a constant."""
    constants = shift.reshape(-1).split([z.shape[1] for z in maps])
    return [z - constant[:, None, None] for z, constant in zip(maps, constants, strict=True)]


def _terms(rows: Sequence[Tensor], channels: int) -> list[slice]:
    """Return the slice of the T terms that each map holds."""
    ends = list(accumulate(z.shape[1] // channels for z in rows))
    return [slice(end - z.shape[1] // channels, end) for end, z in zip(ends, rows, strict=True)]


def _broadcast(bias: Tensor, rows: Tensor) -> Tensor:
    """Return n new rows that all equal the flattened ``bias``."""
    width = bias.numel()
    return rows.new_empty(rows.shape[0], width).copy_(bias.reshape(-1))


def _over_ranks(
    first: Tensor, second: Tensor, count: int, group: dist.ProcessGroup | None
) -> tuple[Tensor, Tensor, int]:
    """Sum two tensors over the ranks of ``group`` in one all-reduce, and multiply the count by the number of ranks."""
    if group is None:
        return first, second, count
    packed = torch.cat([first.flatten(), second.flatten()])
    dist.all_reduce(packed, group=group)
    head, tail = packed.split([first.numel(), second.numel()])
    return head.view_as(first), tail.view_as(second), count * dist.get_world_size(group)


def _rows(x: Tensor) -> Tensor:
    """View a map [B, C, H, W] in channels-last layout as rows [n, C]."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _as_map(rows: Tensor, like: Tensor) -> Tensor:
    """View rows [n, C] as a map [B, C, H, W] with batch, height and width of ``like``."""
    batch, _, height, width = like.shape
    return rows.view(batch, height, width, -1).permute(0, 3, 1, 2)
