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
        outs = self._project([_rows(one) for one in maps], ones, None, joined=False)
        return [_like(out, one) for out, one in zip(outs, maps, strict=True)]

    def summed(self, maps: Sequence[Tensor], gamma: Tensor, base: Tensor | None = None) -> Tensor:
        """Return the one map [B, C, H, W] ``base`` + sum_t gamma_t BN(W_t z_t); ``gamma``: [T]."""
        start = None if base is None else _rows(base)
        return _like(self._project([_rows(one) for one in maps], gamma, start, joined=True)[0], maps[0])

    def _project(self, rows: list[Tensor], gamma: Tensor, base: Tensor | None, joined: bool) -> list[Tensor]:
        with torch.autocast(rows[0].device.type, enabled=False):
            if not self.training:
                return self._evaluate(rows, gamma, base, joined)
            replay = current_replay()
            moments = replay.recall(self) if replay else None
            if moments is None:
                with torch.no_grad():
                    moments = _moments(rows, self.weight, self.group)
                self._track(moments)
                if replay:
                    replay.remember(self, moments)
            return list(_ProjectNorm.apply(self.weight, gamma, base, joined, self.group, moments, *rows))

    def _track(self, moments: Moments) -> None:
        with torch.no_grad():
            unbiased = moments.var * (moments.count / max(moments.count - 1, 1))
            self.running_mean.lerp_(moments.mean.to(self.running_mean.dtype), MOMENTUM)
            self.running_var.lerp_(unbiased.to(self.running_var.dtype), MOMENTUM)

    def _evaluate(
        self, rows: Sequence[Tensor], gamma: Tensor, base: Tensor | None, joined: bool
    ) -> list[Tensor]:
        scale = gamma[:, None] * (self.running_var + EPS).rsqrt()
        matrices = scale[..., None] * self.weight
        biases = -(scale * self.running_mean)
        out = _multiply(rows, matrices, biases, joined)
        return [out[0] + base] if base is not None else out

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
        grams.append(_blocks(_product(z, z, weight.dtype), channels))
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
        *rows: Tensor,
    ) -> Any:  # fmt: skip
        inverse = (moments.var + EPS).rsqrt()
        scale = gamma[:, None] * inverse
        outs = _multiply(rows, scale[..., None] * weight, -(scale * moments.mean), joined, base)
        kept = () if joined else outs
        ctx.save_for_backward(weight, moments.gram, moments.total, moments.mean, inverse, scale, *rows, *kept)
        ctx.joined, ctx.group, ctx.count, ctx.maps = joined, group, moments.count, len(rows)
        return tuple(outs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        weight, gram, total, mean, inverse, scale, *saved = ctx.saved_tensors
        rows, outs = saved[: ctx.maps], saved[ctx.maps :]
        channels = weight.shape[-1]
        if ctx.joined:
            incoming = [gradients[0].contiguous()] * ctx.maps
            sums = incoming[0].sum(0, dtype=weight.dtype).expand_as(total)
            products = torch.cat([_split(_product(incoming[0], z, weight.dtype), channels) for z in rows])
        else:
            incoming = [
                torch.ops.aten.threshold_backward(g, out, 0) for g, out in zip(gradients, outs, strict=True)
            ]
            sums = torch.cat([g.sum(0, dtype=weight.dtype).view(-1, channels) for g in incoming])
            pairs = zip(incoming, rows, strict=True)
            products = torch.cat([_blocks(_product(g, z, weight.dtype), channels) for g, z in pairs])
        d_gamma = inverse * ((weight * products).sum(-1) - mean * sums)
        all_d, all_sums, _ = _over_ranks(d_gamma, sums, 0, ctx.group)
        k1 = scale * all_sums / ctx.count
        k2 = scale * inverse * all_d / ctx.count
        from_g = scale[..., None] * weight
        from_z = -(weight.mT * k2[:, None, :]).bmm(weight)
        constant = ((k2 * mean - k1)[:, None, :].bmm(weight)).squeeze(1)
        d_rows: list[Tensor | None] = []
        first = 0
        for index, (g, z) in enumerate(zip(incoming, rows, strict=True)):
            terms = slice(first, first := first + z.shape[1] // channels)
            if not ctx.needs_input_grad[6 + index]:
                d_rows.append(None)
                continue
            left = _joined_columns(from_g[terms]) if ctx.joined else _block_diagonal(from_g[terms])
            d_z = torch.addmm(constant[terms].reshape(-1).to(z.dtype), g, left.to(z.dtype))
            d_rows.append(d_z.addmm_(z, _block_diagonal(from_z[terms]).to(z.dtype)))
        d_weight = None
        if ctx.needs_input_grad[0]:
            centred = torch.baddbmm(weight.bmm(gram), mean[..., None], total[:, None, :], alpha=-1)
            d_weight = (
                scale[..., None] * products - k1[..., None] * total[:, None, :] - k2[..., None] * centred
            )
        d_base = gradients[0] if ctx.needs_input_grad[2] else None
        return (d_weight, d_gamma.sum(-1), d_base, None, None, None, *d_rows)


def _multiply(
    rows: Sequence[Tensor], matrices: Tensor, biases: Tensor, joined: bool, base: Tensor | None = None
) -> list[Tensor]:
    """Return the rectified A_t z_t + b_t of every map, or one sum over all of them added to ``base``."""
    channels, dtype = matrices.shape[-1], rows[0].dtype
    matrices, biases = matrices.to(dtype), biases.to(dtype)
    outs: list[Tensor] = []
    first = 0
    for z in rows:
        terms = slice(first, first := first + z.shape[1] // channels)
        if not joined:
            outs.append(torch.addmm(biases[terms].reshape(-1), z, _block_diagonal(matrices[terms]).T).relu_())
            continue
        stacked = (
            _joined_columns(matrices[terms]).T if terms.stop - terms.start == 1 else _stacked(matrices[terms])
        )
        if outs:
            outs[0] = (
                torch.addmm(outs[0], z, stacked) if torch.is_grad_enabled() else outs[0].addmm_(z, stacked)
            )
        elif base is None:
            outs.append(torch.addmm(biases.sum(0), z, stacked))
        else:
            outs.append(torch.addmm(base + biases.sum(0), z, stacked))
    return outs


def _stacked(blocks: Tensor) -> Tensor:
    """[k, C, C] -> [k C, C]: the transposed blocks below each other."""
    return blocks.mT.reshape(-1, blocks.shape[-1])


def _joined_columns(blocks: Tensor) -> Tensor:
    """[k, C, C] -> [C, k C]: the blocks side by side."""
    return blocks[0] if len(blocks) == 1 else blocks.transpose(0, 1).reshape(blocks.shape[1], -1)


def _split(wide: Tensor, channels: int) -> Tensor:
    """[C, k C] -> [k, C, C]: undo :func:`_joined_columns`."""
    return wide.view(channels, -1, channels).transpose(0, 1)


def _block_diagonal(blocks: Tensor) -> Tensor:
    """[k, C, C] -> [k C, k C]."""
    terms, channels, _ = blocks.shape
    if terms == 1:
        return blocks[0]
    full = blocks.new_zeros(terms, channels, terms, channels)
    full.diagonal(0, 0, 2).copy_(blocks.permute(1, 2, 0))
    return full.view(terms * channels, terms * channels)


def _blocks(full: Tensor, channels: int) -> Tensor:
    """[k C, k C] -> [k, C, C]: the blocks on the diagonal."""
    terms = full.shape[0] // channels
    return (
        full[None]
        if terms == 1
        else full.view(terms, channels, terms, channels).diagonal(0, 0, 2).permute(2, 0, 1)
    )


def _product(left: Tensor, right: Tensor, dtype: torch.dtype) -> Tensor:
    """Return left^T right, accumulated and returned at ``dtype``; left, right: [n, k C]."""
    if left.dtype == dtype:
        return left.T @ right
    if left.is_cuda:
        return torch.mm(left.T, right, out_dtype=dtype)
    return left.T.to(dtype) @ right.to(dtype)


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
