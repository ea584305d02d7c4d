"""Images that do not fit the device: they stay in files, and are decoded batch by batch by reader processes.

N images, B images of a batch, C channels, H x W pixels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

import torch
from torch import Tensor

from trials.data.image_set import digest
from trials.data.sources.arrays import Pixels, Shape
from trials.data.sources.readers import decoded


@dataclass(frozen=True)
class ImageFiles:
    """Images in files; the same interface as :class:`trials.data.image_set.ImageSet`, without ``pixels``."""

    files: tuple[str, ...]
    labels: Tensor
    """int64 [N] on the device."""
    mean: Tensor
    """float64 [C] of a sample of the training images, their pixels scaled to 0..1."""
    std: Tensor
    """float64 [C] of a sample of the training images, their pixels scaled to 0..1."""
    shape: Shape
    """[C, H, W] of one image."""
    image_size: int | None
    """Side in pixels that images are brought to; None: they come as they are."""
    workers: int
    """Reader processes, shared by all sets of this process; 0: decode in the process itself."""

    def __len__(self) -> int:
        return len(self.files)

    def stream(self, order: Tensor, steps: Sequence[slice]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (uint8 [B, C, H, W], int64 [B]) on the device, the images ``order[step]`` of each step."""
        device = self.labels.device
        chosen = order.to(device)
        batches = ([self.files[i] for i in order[step].tolist()] for step in steps)
        images = decoded(batches, self.image_size, self.shape, self.workers)
        for step, pixels in zip(steps, images, strict=True):
            yield _moved(pixels, device), self.labels[chosen[step]]

    def identity(self) -> bytes:
        """Return a digest of names, labels and statistics: not every file is opened."""
        names = "\n".join(PurePath(file).name for file in self.files)
        return hashlib.sha256(names.encode()).digest() + digest(self.labels, self.mean, self.std)


def _moved(pixels: Pixels, device: torch.device) -> Tensor:
    held = torch.from_numpy(pixels)
    return held.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else held
