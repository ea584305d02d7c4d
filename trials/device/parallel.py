"""Data-parallel ranks of one trial: every rank holds the same network and computes a slice of each batch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

from trials.device.rendezvous import meeting
from trials.errors import TrialError

TIMEOUT_S = 600
"""Seconds that a rank waits for the others."""


@dataclass(frozen=True)
class Mesh:
    """The ranks of a trial, seen from one of them. The default is a single rank.

    Attributes:
        group: None for a single rank; all collective methods are then local.
    """

    rank: int = 0
    world_size: int = 1
    group: dist.ProcessGroup | None = None

    @property
    def can_be_recorded(self) -> bool:
        """Whether a CUDA graph can hold this rank's collective operations: those of gloo run on the CPU."""
        return self.group is None or dist.get_backend(self.group) == "nccl"

    def batch_size(self, wanted: int, images: int) -> int:
        """Return the global batch size: ``wanted``, but at most the largest multiple of the ranks within ``images``.

        Raises:
            TrialError: fewer images than ranks.
        """
        if images < self.world_size:
            raise TrialError(
                f"every rank needs at least one image, but got {images} for {self.world_size} ranks"
            )
        return min(wanted, images - images % self.world_size)

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace every gradient by its mean over the ranks, in a single all-reduce."""
        if self.group is None:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        if gradients:
            torch._foreach_copy_(gradients, self.average(gradients))

    def average(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return the mean of every tensor over the ranks, in a single all-reduce."""
        if self.group is None or not tensors:
            return list(tensors)
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(flat, group=self.group)
        parts = (flat / self.world_size).split([tensor.numel() for tensor in tensors])
        return [part.view_as(tensor) for part, tensor in zip(parts, tensors, strict=True)]

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum of ``values`` over the ranks."""
        if self.group is not None:
            values = values.clone()
            dist.all_reduce(values, group=self.group)
        return values

    def all_gather(self, number: int) -> list[int]:
        """Return the int64 ``number`` of every rank, by rank. Needs a process group."""
        own = torch.tensor([number])
        if dist.get_backend(self.group) == "nccl":
            own = own.cuda()
        gathered = [torch.empty_like(own) for _ in range(self.world_size)]
        dist.all_gather(gathered, own, group=self.group)
        return [int(value) for value in gathered]

    def all_true(self, value: bool) -> bool:
        """Return whether ``value`` is true on all ranks."""
        return value if self.group is None else all(self.all_gather(int(value)))

    def require_agreement(self, what: str, content: Callable[[], bytes]) -> None:
        """Check that ``content()`` is equal on all ranks; a single rank does not call it.

        Raises:
            TrialError: it differs; raised on every rank. The message names ``what`` and a rank that differs.
        """
        if self.group is None:
            return
        digests = self.all_gather(_digest(content()))
        different = [rank for rank, value in enumerate(digests) if value != digests[0]]
        if different:
            raise TrialError(
                f"all ranks must hold the same {what}, but rank 0 and rank {different[0]} differ"
            )


@contextmanager
def process_group(rank: int, world_size: int, address: str | None, device: torch.device) -> Iterator[Mesh]:
    """Join the process group of a trial for the duration of a ``with`` block.

    The backend is NCCL if every rank has a GPU of its own, otherwise gloo. The ranks meet at ``address``, see
    ``trials.device.rendezvous``; a single rank needs none.
    """
    if world_size == 1:
        yield Mesh()
        return
    if address is None:
        raise ValueError(f"{world_size} ranks must have an address to meet at, but got None")
    with meeting(rank, world_size, address, TIMEOUT_S) as store:
        timeout = timedelta(seconds=TIMEOUT_S)
        dist.init_process_group("gloo", store=store, rank=rank, world_size=world_size, timeout=timeout)
        try:
            mesh = Mesh(rank, world_size, dist.group.WORLD)
            if backend_for(mesh.all_gather(_device_id(device))) == "nccl":
                mesh = replace(mesh, group=dist.new_group(backend="nccl"))
            yield mesh
        finally:
            dist.destroy_process_group()


def backend_for(devices: Sequence[int]) -> str:
    """Return the backend for ranks on these GPUs (0 is the CPU). NCCL does not allow two ranks on one GPU."""
    return "nccl" if 0 not in devices and len(set(devices)) == len(devices) else "gloo"


def _device_id(device: torch.device) -> int:
    """Return a number that identifies the GPU; 0 for the CPU."""
    return 0 if device.type == "cpu" else _digest(str(torch.cuda.get_device_properties(device).uuid).encode())


def _digest(content: bytes) -> int:
    return int.from_bytes(hashlib.sha256(content).digest()[:8], "big", signed=True)


def local_device() -> torch.device:
    """Return the GPU of this worker, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
