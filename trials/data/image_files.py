"""Images that do not fit into memory: reader processes decode them from files, batch by batch.

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
from trials.data.sources.readers import decode_batches


@dataclass(frozen=True)
class ImageFiles:
    """Images in files. Implements :class:`trials.data.image_set.ImageReader`."""

    files: tuple[str, ...]
    labels: Tensor
    """int64 [N] on the device."""
    mean: Tensor
    """float64 [C], mean of the training images with pixels scaled to 0..1, estimated from a sample."""
    std: Tensor
    """float64 [C], standard deviation of the same sample."""
    shape: Shape
    """[C, H, W] of one image."""
    image_size: int | None
    """Side to which images are resized, in pixels; None: original size."""
    workers: int
    """Reader processes, shared by all image sets of this process; 0: decode in this process."""

    def __len__(self) -> int:
        return len(self.files)

    def stream(self, order: Tensor, steps: Sequence[slice]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the images ``order[step]`` and their labels for each step, on the device."""
        device = self.labels.device
        chosen = order.to(device)
        batches = ([self.files[i] for i in order[step].tolist()] for step in steps)
        images = decode_batches(batches, self.image_size, self.shape, self.workers)
        for step, pixels in zip(steps, images, strict=True):
            yield _to_device(pixels, device), self.labels[chosen[step]]

    def identity(self) -> bytes:
        """Return a digest of file names, labels and statistics. It does not open the files."""
        names = "\n".join(PurePath(file).name for file in self.files)
        return hashlib.sha256(names.encode()).digest() + digest(self.labels, self.mean, self.std)


def _to_device(pixels: Pixels, device: torch.device) -> Tensor:
    images = torch.from_numpy(pixels)
    return images.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else images
