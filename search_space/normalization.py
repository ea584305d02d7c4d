"""Batch normalization of all networks here: synchronized over ranks, and aware of activation recomputation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVarTuple

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.utils.checkpoint import checkpoint
from typing_extensions import override

Inputs = TypeVarTuple("Inputs")

EPS = 1e-5
MOMENTUM = 0.1


class Replay:
    """Batch statistics of a forward pass, reused when its activations are recomputed in the backward pass.

    The first forward pass stores the statistics. The recomputation reads them, so that they are not computed again and
    the batch is not counted twice in the running statistics.
    """

    def __init__(self) -> None:
        self._statistics: dict[nn.Module, object] = {}

    def remember(self, module: nn.Module, statistics: object) -> None:
        """Store the batch statistics of ``module`` for the recomputation."""
        self._statistics[module] = statistics

    def recall(self, module: nn.Module) -> object:
        """Return the stored statistics of ``module``; None in the first forward pass."""
        return self._statistics.get(module)

    @contextmanager
    def active(self) -> Iterator[None]:
        """Make this the current replay within the ``with`` block."""
        token = _replay.set(self)
        try:
            yield
        finally:
            _replay.reset(token)


_replay: ContextVar[Replay | None] = ContextVar("replay", default=None)


def recomputed(function: Callable[[*Inputs], Tensor], *inputs: *Inputs) -> Tensor:
    """Return ``function(*inputs)`` and keep only the inputs for the backward pass (activation checkpointing).

    The backward pass computes the activations again, with the batch statistics of the first forward pass.
    """
    replay = current_replay() or Replay()
    out: Tensor = checkpoint(
        function, *inputs, use_reentrant=False, preserve_rng_state=False,
        context_fn=lambda: (replay.active(), replay.active()),
    )  # fmt: skip
    return out


def current_replay() -> Replay | None:
    """Return the replay of the running pass; None outside of :func:`recomputed`."""
    return _replay.get()


class SharesStatistics(nn.Module):
    """A module whose batch statistics are synchronized over the ranks of ``group``; None: this process only."""

    group: dist.ProcessGroup | None = None

    def __getstate__(self) -> dict[str, object]:
        """Return the state without ``group``, which can be neither copied nor pickled."""
        return {**self.__dict__, "group": None}


class BatchNorm(SharesStatistics, nn.BatchNorm2d):
    """``nn.BatchNorm2d`` with optional synchronization over ranks and support for :func:`recomputed`.

    All ranks must have batches of equal size. Synchronization works on every backend and device.
    """

    def __init__(self, channels: int, affine: bool = True) -> None:
        super().__init__(channels, eps=EPS, momentum=MOMENTUM, affine=affine)
        self.num_batches_tracked = None

    @override
    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=EPS)
        momentum = MOMENTUM
        if replay := current_replay():
            momentum = 0.0 if replay.recall(self) else MOMENTUM
            replay.remember(self, True)
        if self.group is None:
            mean, var = self.running_mean, self.running_var
            return F.batch_norm(x, mean, var, self.weight, self.bias, True, momentum, EPS)
        return self._synchronized(x, momentum)

    def _synchronized(self, x: Tensor, momentum: float) -> Tensor:
        """Normalize with the statistics over all ranks, at float32 or better; momentum 0 keeps the running ones."""
        dtype = x.dtype
        x = x.to(torch.promote_types(dtype, torch.float32))
        out, mean, var = _SynchronizedNorm.apply(x, self.weight, self.bias, self.group)
        if momentum:
            count = x.numel() // x.shape[1] * dist.get_world_size(self.group)
            with torch.no_grad():
                assert self.running_mean is not None
                assert self.running_var is not None
                self.running_mean.lerp_(mean.to(self.running_mean.dtype), momentum)
                self.running_var.lerp_(var.to(self.running_var.dtype) * (count / (count - 1)), momentum)
        normalized: Tensor = out.to(dtype)
        return normalized


class _NormContext(FunctionCtx):
    saved_tensors: tuple[Tensor, ...]
    group: dist.ProcessGroup | None
    affine: bool


class _SynchronizedNorm(torch.autograd.Function):
    """Batch norm of x [B, C, H, W] with the statistics over all ranks, in one exchange a pass.

    Forward, every rank sends the mean m_r and the biased variance v_r of its own positions. With equal counts,

        mean = average of m_r,    var = average of v_r + (m_r - mean)^2.

    Backward, with xhat = (x - mean) / sqrt(var + eps), h = weight g and averages over the positions of all ranks,

        dx = (h - average(h) - xhat average(h xhat)) / sqrt(var + eps).
    """

    @staticmethod
    @override
    def forward(
        ctx: _NormContext,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        group: dist.ProcessGroup | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        own_var, own_mean = torch.var_mean(x, (0, 2, 3), correction=0)
        own = torch.stack([own_mean, own_var])
        of_ranks = [torch.empty_like(own) for _ in range(dist.get_world_size(group))]
        dist.all_gather(of_ranks, own, group=group)
        means, variances = torch.stack(of_ranks, 1)
        mean = means.mean(0)
        var = (variances + (means - mean).square()).mean(0)
        inverse = (var + EPS).rsqrt()
        normalized = (x - mean[:, None, None]) * inverse[:, None, None]
        ctx.save_for_backward(normalized, inverse, weight if weight is not None else inverse)
        ctx.group, ctx.affine = group, weight is not None
        ctx.mark_non_differentiable(mean, var)
        out = normalized
        if weight is not None and bias is not None:
            out = normalized * weight[:, None, None] + bias[:, None, None]
        return out, mean, var

    @staticmethod
    @override
    def backward(
        ctx: _NormContext, gradient: Tensor, *_: Tensor
    ) -> tuple[Tensor, Tensor | None, Tensor | None, None]:
        normalized, inverse, weight = ctx.saved_tensors
        sums = torch.stack([gradient.sum((0, 2, 3)), (gradient * normalized).sum((0, 2, 3))])
        d_bias, d_weight = sums if ctx.affine else (None, None)
        averages = sums.clone()
        dist.all_reduce(averages, group=ctx.group)
        averages /= gradient.numel() // gradient.shape[1] * dist.get_world_size(ctx.group)
        of_g, of_product = averages[:, :, None, None]
        scale = inverse * weight if ctx.affine else inverse
        dx = (gradient - of_g - normalized * of_product) * scale[:, None, None]
        return dx, d_weight, d_bias, None


def share_statistics(network: nn.Module, group: dist.ProcessGroup | None) -> None:
    """Synchronize the batch statistics of every batch norm of ``network`` over the ranks of ``group``."""
    for module in network.modules():
        if isinstance(module, SharesStatistics):
            module.group = group
