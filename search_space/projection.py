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
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from search_space.normalization import EPS, MOMENTUM, SharesStatistics, current_replay
from search_space.side_by_side import (
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
        ones = self.weight.new_ones(self.weight.shape[0])
        return self._project(maps, ones, None, joined=False)

    def summed(self, maps: Sequence[Tensor], gamma: Tensor, base: Tensor | None = None) -> Tensor:
        """Return the one map [B, C, H, W] ``base`` + sum_t gamma_t BN(W_t z_t); ``gamma``: [T]."""
        return self._project(maps, gamma, base, joined=True)[0]

    def _project(
        self, maps: Sequence[Tensor], gamma: Tensor, base: Tensor | None, joined: bool
    ) -> list[Tensor]:
        with torch.autocast(maps[0].device.type, enabled=False):
            if not self.training:
                return self._evaluate(maps, gamma, base, joined)
            replay = current_replay()
            moments = replay.recall(self) if replay else None
            if moments is None:
                with torch.no_grad():
                    moments = _moments([_rows(one) for one in maps], self.weight, self.group)
                self._track(moments)
                if replay:
                    replay.remember(self, moments)
            return list(_ProjectNorm.apply(self.weight, gamma, base, joined, self.group, moments, *maps))

    def _track(self, moments: Moments) -> None:
        with torch.no_grad():
            unbiased = moments.var * (moments.count / max(moments.count - 1, 1))
            self.running_mean.lerp_(moments.mean.to(self.running_mean.dtype), MOMENTUM)
            self.running_var.lerp_(unbiased.to(self.running_var.dtype), MOMENTUM)

    def _evaluate(
        self, maps: Sequence[Tensor], gamma: Tensor, base: Tensor | None, joined: bool
    ) -> list[Tensor]:
        scale = gamma[:, None] * (self.running_var + EPS).rsqrt()
        outs = _multiply(maps, scale[..., None] * self.weight, -(scale * self.running_mean), joined)
        return [outs[0] + base] if base is not None else outs

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
    """out_t = gamma_t BN(W_t z_t), either summed over t (``joined``) or each on its own and rectified.

    With y = W z, r = 1 / sqrt(var(y) + eps), scale = gamma r and an incoming gradient g, batch norm's backward is
    dy = scale g - k1 - k2 (y - mean(y)), k1 = scale sum(g) / n, k2 = scale r d / n, where
    d = r (sum(g y) - mean(y) sum(g)) is also the gradient of gamma. Since y = W z this is linear in z:

        dz = g (diag(scale) W) - z (W^T diag(k2) W) - (k1 - k2 mean(y)) W,

    and every sum over positions comes from the two small matrices P = g^T z and z^T z.
    """

    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, gamma: Tensor, base: Tensor | None, joined: bool, group: Any, moments: Moments,
        *maps: Tensor,
    ) -> Any:  # fmt: skip
        inverse = (moments.var + EPS).rsqrt()
        scale = gamma[:, None] * inverse
        outs = _multiply(maps, scale[..., None] * weight, -(scale * moments.mean), joined, base)
        kept = () if joined else outs
        ctx.save_for_backward(weight, moments.gram, moments.total, moments.mean, inverse, scale, *maps, *kept)
        ctx.joined, ctx.group, ctx.count, ctx.maps = joined, group, moments.count, len(maps)
        return tuple(outs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        weight, gram, total, mean, inverse, scale, *saved = ctx.saved_tensors
        maps, outs = saved[: ctx.maps], saved[ctx.maps :]
        rows = [_rows(one) for one in maps]
        channels = weight.shape[-1]
        if ctx.joined:
            incoming = [_rows(gradients[0])] * ctx.maps
            sums = incoming[0].sum(0, dtype=weight.dtype).expand_as(total)
            products = torch.cat([from_columns(product(incoming[0], z, weight.dtype)) for z in rows])
        else:
            incoming = [
                _rows(torch.ops.aten.threshold_backward(g, out, 0))
                for g, out in zip(gradients, outs, strict=True)
            ]
            sums = torch.cat([g.sum(0, dtype=weight.dtype).view(-1, channels) for g in incoming])
            pairs = zip(incoming, rows, strict=True)
            products = torch.cat([inner_products(g, z, channels, weight.dtype) for g, z in pairs])
        d_gamma = inverse * ((weight * products).sum(-1) - mean * sums)
        all_d, all_sums, _ = _over_ranks(d_gamma, sums, 0, ctx.group)
        k1 = scale * all_sums / ctx.count
        k2 = scale * inverse * all_d / ctx.count
        from_g = scale[..., None] * weight
        from_z = -(weight.mT * k2[:, None, :]).bmm(weight)
        constant = ((k2 * mean - k1)[:, None, :].bmm(weight)).squeeze(1)
        d_maps: list[Tensor | None] = []
        first = 0
        for index, (g, z) in enumerate(zip(incoming, rows, strict=True)):
            terms = slice(first, first := first + z.shape[1] // channels)
            if not ctx.needs_input_grad[6 + index]:
                d_maps.append(None)
                continue
            if ctx.joined:
                bias = constant[terms].reshape(-1).to(z.dtype)
                d_z = torch.addmm(bias, g, in_columns(from_g[terms]).to(z.dtype))
            else:
                d_z = add_products(_spread(constant[terms], z), g, from_g[terms])
            d_maps.append(_like(add_products(d_z, z, from_z[terms]), maps[index]))
        d_weight = None
        if ctx.needs_input_grad[0]:
            centred = torch.baddbmm(weight.bmm(gram), mean[..., None], total[:, None, :], alpha=-1)
            d_weight = (
                scale[..., None] * products - k1[..., None] * total[:, None, :] - k2[..., None] * centred
            )
        d_base = gradients[0] if ctx.needs_input_grad[2] else None
        return (d_weight, d_gamma.sum(-1), d_base, None, None, None, *d_maps)


def _multiply(
    maps: Sequence[Tensor], matrices: Tensor, biases: Tensor, joined: bool, base: Tensor | None = None
) -> list[Tensor]:
    """Return the rectified A_t z_t + b_t of every map, or one sum over all of them added to ``base``."""
    channels, rows = matrices.shape[-1], [_rows(one) for one in maps]
    if joined:
        bias = biases.sum(0).to(maps[0].dtype)
        total = _spread(bias, rows[0]) if base is None else _rows(base) + bias
    outs: list[Tensor] = []
    first = 0
    for one, z in zip(maps, rows, strict=True):
        terms = slice(first, first := first + z.shape[1] // channels)
        if joined:
            total.addmm_(z, stacked(matrices[terms].mT).to(z.dtype))
        else:
            out = add_products(_spread(biases[terms], z), z, matrices[terms].mT)
            outs.append(_like(out.relu_(), one))
    return [_like(total, maps[0])] if joined else outs


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
