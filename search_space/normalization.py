"""Batch normalization as the whole project uses it, and what a recomputation remembers of the first pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

EPS = 1e-5
MOMENTUM = 0.1


class Replay:
    """What a recomputation takes over from the first pass: batch statistics are small, so they are kept.

    The first pass remembers; the second recalls, so that it neither computes statistics again nor counts a batch
    twice in the running statistics.
    """

    def __init__(self) -> None:
        self._kept: dict[nn.Module, Any] = {}

    def remember(self, module: nn.Module, statistics: Any) -> None:
        """Keep the batch statistics of ``module`` for the second pass."""
        self._kept[module] = statistics

    def recall(self, module: nn.Module) -> Any:
        """Return what ``module`` remembered, or None in the first pass."""
        return self._kept.get(module)

    @contextmanager
    def active(self) -> Iterator[None]:
        """Be the replay of the passes in the ``with`` block."""
        token = _replay.set(self)
        try:
            yield
        finally:
            _replay.reset(token)


_replay: ContextVar[Replay | None] = ContextVar("replay", default=None)


def recomputed(function: Callable[..., Tensor], *inputs: Any) -> Tensor:
    """Return ``function(*inputs)``, keeping nothing but the inputs for the backward pass.

    The second pass, in the backward pass, takes its batch statistics from the first.
    """
    replay = current_replay() or Replay()
    out: Tensor = checkpoint(
        function, *inputs, use_reentrant=False, preserve_rng_state=False,
        context_fn=lambda: (replay.active(), replay.active()),
    )  # fmt: skip
    return out


def current_replay() -> Replay | None:
    """Return the replay that this pass belongs to; None where nothing is recomputed."""
    return _replay.get()


class SharesStatistics(nn.Module):
    """A module whose batch statistics can be taken over all ranks of ``group``; None: this process alone."""

    group: dist.ProcessGroup | None = None

    def __getstate__(self) -> dict[str, Any]:
        """A copy is of this process alone: a group of ranks can neither be copied nor pickled."""
        return {**self.__dict__, "group": None}


class BatchNorm(SharesStatistics, nn.BatchNorm2d):
    """``nn.BatchNorm2d`` that can share its statistics over ranks and leaves them alone in a recomputation.

    Ranks must have equal batches. Works on every backend and device.
    """

    def __init__(self, channels: int, affine: bool = True) -> None:
        super().__init__(channels, eps=EPS, momentum=MOMENTUM, affine=affine)
        self.num_batches_tracked = None

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
        return self._shared(x, momentum)

    def _shared(self, x: Tensor, momentum: float) -> Tensor:
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


class _AllReduce(torch.autograd.Function):
    """Sum over the ranks, forward and backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Any) -> Tensor:
        ctx.group = group
        total = x.clone()
        dist.all_reduce(total, group=group)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        total = gradient.clone()
        dist.all_reduce(total, group=ctx.group)
        return total, None


def share_statistics(network: nn.Module, group: dist.ProcessGroup | None) -> None:
    """Let every batch norm of ``network`` take its batch statistics over all ranks of ``group``."""
    for module in network.modules():
        if isinstance(module, SharesStatistics):
            module.group = group
