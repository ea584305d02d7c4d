"""Gradients averaged over the ranks of a trial, while the backward pass still computes the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

from trials.device.parallel import Mesh

BUCKET_BYTES = 1 << 20
"""Gradients of a bucket: small enough that the first bucket leaves early, large enough for few messages."""


class GradientBuckets:
    """Groups of parameters whose gradients are averaged together, as soon as all of a group are there.

    The groups follow the order in which a backward pass reaches their parameters. They leave in one fixed order, so
    that the messages of all ranks match.

    Args:
        parameters: in the order of the forward pass.
        mesh: the ranks.
        bucket_bytes: the size at which a bucket is full.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], mesh: Mesh, bucket_bytes: int = BUCKET_BYTES
    ) -> None:
        self._mesh = mesh
        self._buckets = _in_buckets(list(parameters)[::-1], bucket_bytes) if mesh.group is not None else []
        self._bucket_of = {id(p): index for index, bucket in enumerate(self._buckets) for p in bucket}
        self._missing: list[int] | None = None
        self._sent: list[_Sent | None] = []
        for bucket in self._buckets:
            for parameter in bucket:
                parameter.register_post_accumulate_grad_hook(self._arrived)

    @contextmanager
    def averaging(self) -> Iterator[None]:
        """Average the gradients of the backward pass within the ``with`` block over the ranks."""
        if not self._buckets:
            yield
            return
        self._missing = [len(bucket) for bucket in self._buckets]
        try:
            yield
            for bucket in self._buckets[len(self._sent) :]:  # those with parameters that have no gradient
                self._send(bucket)
            for sent in self._sent:
                if sent is not None:
                    sent.bring_back(self._mesh.world_size)
        finally:
            self._missing = None
            self._sent.clear()

    def _arrived(self, parameter: Tensor) -> None:
        """Send the next buckets that are complete, after ``parameter`` has got its gradient."""
        if self._missing is None:
            return
        self._missing[self._bucket_of[id(parameter)]] -= 1
        while len(self._sent) < len(self._buckets) and not self._missing[len(self._sent)]:
            self._send(self._buckets[len(self._sent)])

    def _send(self, bucket: list[nn.Parameter]) -> None:
        gradients = [parameter.grad for parameter in bucket if parameter.grad is not None]
        if not gradients:  # on no rank
            self._sent.append(None)
            return
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        work = dist.all_reduce(flat, group=self._mesh.group, async_op=True)
        assert work is not None
        self._sent.append(_Sent(gradients, flat, work))


@dataclass(frozen=True)
class _Sent:
    """A bucket on its way: its gradients, their values one after the other, and the running reduction."""

    gradients: list[Tensor]
    flat: Tensor
    work: dist.Work

    def bring_back(self, ranks: int) -> None:
        """Wait for the sum over the ranks, and copy the mean into the gradients."""
        self.work.wait()
        parts = self.flat.div_(ranks).split([gradient.numel() for gradient in self.gradients])
        means = [part.view_as(gradient) for part, gradient in zip(parts, self.gradients, strict=True)]
        torch._foreach_copy_(self.gradients, means)


def _in_buckets(parameters: list[nn.Parameter], bucket_bytes: int) -> list[list[nn.Parameter]]:
    """Return the parameters in groups of one dtype and of at least ``bucket_bytes``, in order."""
    buckets: list[list[nn.Parameter]] = []
    size = 0
    for parameter in parameters:
        if not buckets or size >= bucket_bytes or buckets[-1][0].dtype != parameter.dtype:
            buckets.append([])
            size = 0
        buckets[-1].append(parameter)
        size += parameter.numel() * parameter.element_size()
    return buckets
