"""Images on the training device: held there whole, as bytes.

N images, B images of a batch, C channels, H x W pixels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from trials.data.sources.arrays import Shape

CHUNK = 128
"""Images whose statistics are summed at a time: few enough for the processor's cache."""


class ImageReader(Protocol):
    """What :class:`trials.data.batches.Batches` reads: images that are held, or that come from files."""

    @property
    def labels(self) -> Tensor:
        """int64 [N] on the device."""

    @property
    def mean(self) -> Tensor:
        """float64 [C] on the device, of pixels scaled to 0..1."""

    @property
    def std(self) -> Tensor:
        """float64 [C] on the device, of pixels scaled to 0..1."""

    @property
    def shape(self) -> Shape:
        """[C, H, W] of one image."""

    def __len__(self) -> int:
        """N."""

    def stream(self, order: Tensor, steps: Sequence[slice]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (uint8 [B, C, H, W], int64 [B]) on the device, the images ``order[step]`` of each step."""

    def identity(self) -> bytes:
        """Return a digest that is the same wherever the same images are held, wherever they come from."""


@dataclass(frozen=True)
class ImageSet:
    """Images that lie on the device as bytes; trials of one process share them, so nobody writes into them."""

    pixels: Tensor
    """uint8 [N, C, H, W]."""
    labels: Tensor
    """int64 [N]."""
    mean: Tensor
    """float64 [C] of the training images, their pixels scaled to 0..1."""
    std: Tensor
    """float64 [C] of the training images, their pixels scaled to 0..1."""

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> Shape:
        """[C, H, W] of one image."""
        channels, height, width = self.pixels.shape[1:]
        return channels, height, width

    def stream(self, order: Tensor, steps: Sequence[slice]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (uint8 [B, C, H, W], int64 [B]), the images ``order[step]`` of each step."""
        order = order.to(self.pixels.device)
        for step in steps:
            chosen = order[step]
            yield self.pixels.index_select(0, chosen), self.labels.index_select(0, chosen)

    def identity(self) -> bytes:
        """Return a digest of all pixels and labels."""
        return digest(self.pixels, self.labels)


@dataclass(frozen=True)
class Images:
    """The training and test images of a trial."""

    train: ImageReader
    test: ImageReader
    classes: int

    @property
    def shape(self) -> Shape:
        """[C, H, W] of one image."""
        return self.train.shape

    @property
    def mean(self) -> Tensor:
        """float64 [C] of the training images, their pixels scaled to 0..1."""
        return self.train.mean

    @property
    def std(self) -> Tensor:
        """float64 [C] of the training images, their pixels scaled to 0..1."""
        return self.train.std

    def identity(self) -> bytes:
        """Return a digest that is the same on all ranks that hold the same images."""
        return self.train.identity() + self.test.identity()


def digest(*tensors: Tensor) -> bytes:
    """Return a digest of shapes, dtypes and values."""
    total = hashlib.sha256()
    for tensor in tensors:
        total.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        total.update(tensor.cpu().contiguous().numpy().data)
    return total.digest()


def statistics(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each channel, float64 [C], of uint8 [N, C, H, W] scaled to 0..1.

    Sums are of whole numbers, so they are the same on every device. A channel that never changes gets the
    deviation 1: it is shifted to 0, and not divided by 0.
    """
    total = torch.zeros(pixels.shape[1], dtype=torch.int64, device=pixels.device)
    squares = torch.zeros_like(total)
    for chunk in torch.split(pixels, CHUNK):
        values = chunk.to(torch.int32)
        total += values.sum((0, 2, 3))
        squares += (values * values).sum((0, 2, 3))
    count = pixels.numel() // pixels.shape[1]
    mean = total.double() / count
    variance = (squares.double() / count - mean.square()).clamp(min=0)
    constant = squares * count == total * total
    std = torch.where(constant, torch.full_like(mean, 255.0), variance.sqrt())
    return mean / 255, std / 255
