"""The ranks of one trial: one process, or n of them that train the same network on slices of each batch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

from trials.errors import TrialError

TIMEOUT_S = 600


@dataclass(frozen=True)
class Mesh:
    """This process's place among the ranks of its trial."""

    rank: int = 0
    world_size: int = 1
    group: dist.ProcessGroup | None = None

    def batch_size(self, wanted: int, images: int) -> int:
        """Return the images of a step over all ranks: ``wanted``, or fewer where there are not so many.

        Raises:
            TrialError: there are fewer images than ranks.
        """
        if images < self.world_size:
            raise TrialError(
                f"every rank needs at least one image, but got {images} for {self.world_size} ranks"
            )
        return min(wanted, images - images % self.world_size)

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace every gradient by its mean over the ranks, in one message."""
        if self.group is None:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        for gradient, mean in zip(gradients, self.average(gradients), strict=True):
            gradient.copy_(mean)

    def average(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return the mean of every tensor over the ranks, in one message."""
        if self.group is None or not tensors:
            return list(tensors)
        flat = torch.cat([one.reshape(-1) for one in tensors])
        dist.all_reduce(flat, group=self.group)
        parts = (flat / self.world_size).split([one.numel() for one in tensors])
        return [part.view_as(one) for part, one in zip(parts, tensors, strict=True)]

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum of ``values`` over the ranks."""
        if self.group is not None:
            values = values.clone()
            dist.all_reduce(values, group=self.group)
        return values

    def everyones(self, number: int) -> list[int]:
        """Return the int64 that each rank has called with, in the order of the ranks."""
        mine = torch.tensor([number])
        if dist.get_backend(self.group) == "nccl":
            mine = mine.cuda()
        everyone = [torch.empty_like(mine) for _ in range(self.world_size)]
        dist.all_gather(everyone, mine, group=self.group)
        return [int(value) for value in everyone]

    def all_say(self, yes: bool) -> bool:
        """Return whether ``yes`` is true on all ranks."""
        return yes if self.group is None else all(self.everyones(int(yes)))

    def require_agreement(self, what: str, content: Callable[[], bytes]) -> None:
        """Check that ``content()`` is the same on all ranks; not asked for where there is only one.

        Raises:
            TrialError: on every rank, if it is not; names what differs and on which ranks.
        """
        if self.group is None:
            return
        everyone = self.everyones(_digest(content()))
        other = [rank for rank, value in enumerate(everyone) if value != everyone[0]]
        if other:
            raise TrialError(f"all ranks must hold the same {what}, but rank 0 and rank {other[0]} differ")


@contextmanager
def joined(rank: int, world_size: int, address: str | None, device: torch.device) -> Iterator[Mesh]:
    """Join the ranks of a trial for the duration of a ``with`` block.

    They talk over NCCL where every rank has a GPU of its own, and over gloo otherwise.

    Args:
        address: ``tcp://host:port`` where the ranks meet; not needed for a single one.
    """
    if world_size == 1:
        yield Mesh()
        return
    dist.init_process_group(
        "gloo", init_method=address, rank=rank, world_size=world_size, timeout=timedelta(seconds=TIMEOUT_S)
    )
    try:
        mesh = Mesh(rank, world_size, dist.group.WORLD)
        if backend_for(mesh.everyones(_identity(device))) == "nccl":
            mesh = replace(mesh, group=dist.new_group(backend="nccl"))
        yield mesh
    finally:
        dist.destroy_process_group()


def backend_for(devices: Sequence[int]) -> str:
    """Return the backend for ranks on these GPUs (0: the CPU): NCCL refuses two ranks on one GPU."""
    return "nccl" if 0 not in devices and len(set(devices)) == len(devices) else "gloo"


def _identity(device: torch.device) -> int:
    """Return a number that no other GPU has; 0 for the CPU."""
    return 0 if device.type == "cpu" else _digest(str(torch.cuda.get_device_properties(device).uuid).encode())


def _digest(content: bytes) -> int:
    return int.from_bytes(hashlib.sha256(content).digest()[:8], "big", signed=True)


def local_device() -> torch.device:
    """Return the GPU that this worker was given, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
