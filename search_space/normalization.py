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
        count = x.numel() // x.shape[1] * dist.get_world_size(self.group)
        mean = _AllReduce.apply(x.sum((0, 2, 3)), self.group) / count
        centred = x - mean[:, None, None]
        var = _AllReduce.apply(centred.square().sum((0, 2, 3)), self.group) / count
        if momentum:
            with torch.no_grad():
                assert self.running_mean is not None
                assert self.running_var is not None
                self.running_mean.lerp_(mean.to(self.running_mean.dtype), momentum)
                self.running_var.lerp_(var.to(self.running_var.dtype) * (count / (count - 1)), momentum)
        out = centred * (var + EPS).rsqrt()[:, None, None]
        if self.weight is not None:
            out = out * self.weight[:, None, None] + self.bias[:, None, None]
        return out.to(dtype)


class _GroupContext(FunctionCtx):
    group: dist.ProcessGroup | None


class _AllReduce(torch.autograd.Function):
    """Sum over the ranks, in the forward and in the backward pass."""

    @staticmethod
    @override
    def forward(ctx: _GroupContext, x: Tensor, group: dist.ProcessGroup | None) -> Tensor:
        ctx.group = group
        total = x.clone()
        dist.all_reduce(total, group=group)
        return total

    @staticmethod
    @override
    def backward(ctx: _GroupContext, gradient: Tensor) -> tuple[Tensor, None]:
        total = gradient.clone()
        dist.all_reduce(total, group=ctx.group)
        return total, None


def share_statistics(network: nn.Module, group: dist.ProcessGroup | None) -> None:
    """Synchronize the batch statistics of every batch norm of ``network`` over the ranks of ``group``."""
    for module in network.modules():
        if isinstance(module, SharesStatistics):
            module.group = group
