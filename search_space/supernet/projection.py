"""1x1 convolution, batch normalization and the sum over primitives as one operation, exact in training.

In a supernet almost every primitive ends in the same three layers: a 1x1 convolution y = W z, a batch norm without
affine parameters, and a multiplication by the primitive's weight gamma, before everything that enters a node is
added up. None of the maps in between has to exist. The batch statistics of y follow from the first two moments of z,

    mean(y) = W mean(z),    var(y) = diag(W cov(z) W^T),

so that the whole chain is one matrix product with a rescaled W, accumulated in place over all terms of a node:

    out = sum_t  A_t z_t + b_t,    A_t = diag(gamma_t / sqrt(var(y_t) + eps)) W_t,    b_t = -A_t mean(z_t).

The backward pass is written out by hand (see :class:`_ProjectNorm`). Only z is kept for it: neither y nor its
normalized form is ever stored.

On narrow maps several terms lie side by side in the channels of one map (a *block* of terms), so that one matrix
product serves them all; on wide maps every term is a map of its own.

Shapes: n = B H W positions, C channels, T terms, k terms in one map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from search_space.normalization import EPS, MOMENTUM, SharesStatistics, current_replay
from search_space.supernet.block_products import (
    add_products,
    from_columns,
    in_columns,
    inner_products,
    product,
    stacked,
)


class ProjectNorm(SharesStatistics):
    """T projections C -> C, each followed by a batch norm, on maps in channels-last layout.

    Args:
        terms: T.
        channels: C.

    Attributes:
        weight: [T, C, C], the 1x1 convolutions.
        running_mean, running_var: [T, C], as in ``nn.BatchNorm2d``.
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
        """Return relu(BN(W_t z_t)) for all terms; ``maps``: [B, k C, H, W] each, T terms together."""
        return self._project(maps, self.weight.new_ones(self.weight.shape[0]), None, ())

    def summed(
        self, groups: Sequence[Sequence[Tensor]], gamma: Tensor, base: Tensor | None = None
    ) -> list[Tensor]:
        """Return sum_t gamma_t BN(W_t z_t) over each group's terms, [B, C, H, W]; ``base`` is added to the first.

        ``groups`` hold maps of different sizes, but all of B H W positions; ``gamma``: [T], group by group.
        """
        maps = [one for group in groups for one in group]
        return self._project(maps, gamma, base, tuple(len(group) for group in groups))

    def _project(
        self, maps: Sequence[Tensor], gamma: Tensor, base: Tensor | None, sums: tuple[int, ...]
    ) -> list[Tensor]:
        with torch.autocast(maps[0].device.type, enabled=False):
            if not self.training:
                return self._evaluate(maps, gamma, base, sums)
            replay = current_replay()
            moments = replay.recall(self) if replay else None
            if moments is None:
                with torch.no_grad():
                    moments = _moments([_rows(one) for one in maps], self.weight, self.group)
                self._track(moments)
                if replay:
                    replay.remember(self, moments)
            return list(_ProjectNorm.apply(self.weight, gamma, base, sums, self.group, moments, *maps))

    def _track(self, moments: Moments) -> None:
        with torch.no_grad():
            unbiased = moments.var * (moments.count / max(moments.count - 1, 1))
            self.running_mean.lerp_(moments.mean.to(self.running_mean.dtype), MOMENTUM)
            self.running_var.lerp_(unbiased.to(self.running_var.dtype), MOMENTUM)

    def _evaluate(
        self, maps: Sequence[Tensor], gamma: Tensor, base: Tensor | None, sums: tuple[int, ...]
    ) -> list[Tensor]:
        scale = gamma[:, None] * (self.running_var + EPS).rsqrt()
        return _multiply(maps, scale[..., None] * self.weight, -(scale * self.running_mean), base, sums)

    def extra_repr(self) -> str:
        return f"{self.weight.shape[0]} x {self.weight.shape[1]}"


@dataclass
class Moments:
    """First two moments of z over this rank's positions, and the statistics of y = W z over all ranks' positions."""

    gram: Tensor  # z^T z: [T, C, C]
    total: Tensor  # sum(z): [T, C]
    mean: Tensor  # of y: [T, C]
    var: Tensor  # of y, biased: [T, C]
    count: int  # positions on all ranks


def _moments(rows: Sequence[Tensor], weight: Tensor, group: Any) -> Moments:
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
    return Moments(gram, total, (weight * mean_z[:, None, :]).sum(-1), var, count)


class _ProjectNorm(torch.autograd.Function):
    """out_t = gamma_t BN(W_t z_t), summed over the terms of ``sums`` maps at a time, or each on its own and rectified.

    With y = W z, r = 1 / sqrt(var(y) + eps), scale = gamma r and an incoming gradient g, batch norm's backward is
    dy = scale g - k1 - k2 (y - mean(y)), k1 = scale sum(g) / n, k2 = scale r d / n, where
    d = r (sum(g y) - mean(y) sum(g)) is also the gradient of gamma. Since y = W z this is linear in z:

        dz = g (diag(scale) W) - z (W^T diag(k2) W) - (k1 - k2 mean(y)) W,

    and every sum over positions comes from the two small matrices P = g^T z and z^T z.
    """

    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, gamma: Tensor, base: Tensor | None, sums: tuple[int, ...], group: Any,
        moments: Moments, *maps: Tensor,
    ) -> Any:  # fmt: skip
        inverse = (moments.var + EPS).rsqrt()
        scale = gamma[:, None] * inverse
        outs = _multiply(maps, scale[..., None] * weight, -(scale * moments.mean), base, sums)
        kept = () if sums else outs
        ctx.save_for_backward(weight, moments.gram, moments.total, moments.mean, inverse, scale, *maps, *kept)
        ctx.sums, ctx.group, ctx.count, ctx.maps = sums, group, moments.count, len(maps)
        return tuple(outs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        weight, gram, total, mean, inverse, scale, *saved = ctx.saved_tensors
        maps, outs = saved[: ctx.maps], saved[ctx.maps :]
        del saved  # popped from the lists, what a recomputation brought back is gone as soon as it has served
        rows = [_rows(one) for one in maps]
        channels, dtype = weight.shape[-1], weight.dtype
        terms = _terms(rows, channels)
        if ctx.sums:
            each = [_rows(g) for g in gradients]
            incoming = [g for g, count in zip(each, ctx.sums, strict=True) for _ in range(count)]
            products = torch.cat(
                [from_columns(product(g, z, dtype)) for g, z in zip(incoming, rows, strict=True)]
            )
            totals = [g.sum(0, dtype=dtype) for g in each]
            spread = [g for g, count in zip(totals, ctx.sums, strict=True) for _ in range(count)]
            sums = torch.cat([g.expand(t.stop - t.start, -1) for g, t in zip(spread, terms, strict=True)])
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
        for wanted, t in zip(ctx.needs_input_grad[6:], terms, strict=True):
            one, z, g = maps.pop(0), rows.pop(0), incoming.pop(0)
            if not wanted:
                d_maps.append(None)
                continue
            if ctx.sums:
                bias = constant[t].reshape(-1).to(z.dtype)
                d_z = torch.addmm(bias, g, in_columns(from_g[t]).to(z.dtype))
            else:
                d_z = add_products(_spread(constant[t], z), g, from_g[t])
            d_maps.append(_like(add_products(d_z, z, from_z[t]), one))
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
    """Return the rectified A_t z_t + b_t of every map, or their sums over ``sums`` maps at a time, the first + base."""
    rows = [_rows(one) for one in maps]
    parts = zip(maps, rows, _terms(rows, matrices.shape[-1]), strict=True)
    if not sums:
        return [
            _like(add_products(_spread(biases[t], z), z, matrices[t].mT).relu_(), one) for one, z, t in parts
        ]
    outs = []
    for count in sums:
        group = list(islice(parts, count))
        one, z, _ = group[0]
        bias = biases[group[0][2].start : group[-1][2].stop].sum(0).to(z.dtype)
        total = _spread(bias, z) if base is None else _rows(base) + bias
        for _, z, t in group:
            total.addmm_(z, stacked(matrices[t].mT).to(z.dtype))
        outs.append(_like(total, one))
        base = None
    return outs


def _terms(rows: Sequence[Tensor], channels: int) -> list[slice]:
    """Return which of the T terms every map holds."""
    ends = list(accumulate(z.shape[1] // channels for z in rows))
    return [slice(end - z.shape[1] // channels, end) for end, z in zip(ends, rows, strict=True)]


def _spread(bias: Tensor, rows: Tensor) -> Tensor:
    """Return ``bias``, flattened, as every one of n new rows."""
    width = bias.numel()
    return rows.new_empty(rows.shape[0], width).copy_(bias.reshape(-1))


def _over_ranks(first: Tensor, second: Tensor, count: int, group: Any) -> tuple[Tensor, Tensor, int]:
    """Sum two tensors and a count over the ranks of ``group`` in one message; without a group, as they are."""
    if group is None:
        return first, second, count
    packed = torch.cat([first.flatten(), second.flatten()])
    dist.all_reduce(packed, group=group)
    head, tail = packed.split([first.numel(), second.numel()])
    return head.view_as(first), tail.view_as(second), count * dist.get_world_size(group)


def _rows(x: Tensor) -> Tensor:
    """View [B, C, H, W] in channels-last layout as [n, C]."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _like(rows: Tensor, x: Tensor) -> Tensor:
    """View [n, C] as a map of the height and width of ``x``."""
    batch, _, height, width = x.shape
    return rows.view(batch, height, width, -1).permute(0, 3, 1, 2)
