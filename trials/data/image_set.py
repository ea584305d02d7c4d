"""Images that are held on the device as bytes, and the interface that they share with images in files.

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
"""Images per partial sum of the statistics: small enough for the CPU cache."""


class ImageReader(Protocol):
    """Interface of image sets: what :class:`trials.data.batches.Batches` reads from."""

    @property
    def labels(self) -> Tensor:
        """int64 [N], on the device."""

    @property
    def mean(self) -> Tensor:
        """float64 [C], mean of the training images with pixels scaled to 0..1, on the device."""

    @property
    def std(self) -> Tensor:
        """float64 [C], standard deviation of the training images with pixels scaled to 0..1, on the device."""

    @property
    def shape(self) -> Shape:
        """[C, H, W] of one image."""

    def __len__(self) -> int:
        """Return N."""

    def stream(self, order: Tensor, steps: Sequence[slice]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the images ``order[step]`` and their labels for each step, on the device.

        Args:
            order: int64 [n], indices of images.
            steps: slices of ``order``, one per batch.

        Yields:
            Images uint8 [B, C, H, W] and labels int64 [B].
        """

    def identity(self) -> bytes:
        """Return a digest that is equal for equal image sets, on any device."""


@dataclass(frozen=True)
class ImageSet:
    """Images on the device. The trials of a process share them: do not modify. Implements :class:`ImageReader`."""

    pixels: Tensor
    """uint8 [N, C, H, W]."""
    labels: Tensor
    """int64 [N]."""
    mean: Tensor
    """float64 [C], mean of the training images with pixels scaled to 0..1."""
    std: Tensor
    """float64 [C], standard deviation of the training images with pixels scaled to 0..1."""

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> Shape:
        """[C, H, W] of one image."""
        channels, height, width = self.pixels.shape[1:]
        return channels, height, width

    def stream(self, order: Tensor, steps: Sequence[slice]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the images ``order[step]`` and their labels for each step, on the device."""
        order = order.to(self.pixels.device)
        for step in steps:
            indices = order[step]
            yield self.pixels.index_select(0, indices), self.labels.index_select(0, indices)

    def identity(self) -> bytes:
        """Return a digest of all pixels and labels."""
        return digest(self.pixels, self.labels)


@dataclass(frozen=True)
class Images:
    """The training, test and validation images of a trial."""

    train: ImageReader
    test: ImageReader
    classes: int
    class_names: tuple[str, ...] = ()
    """Names of the classes in the order of the logits."""
    fingerprint: str | None = None
    """Digest of all images and labels of the data set, whichever of them are used; None if unknown."""
    validation: ImageReader | None = None
    """Images that neither search nor training sees, and that points are chosen by; None: the test images."""

    @property
    def shape(self) -> Shape:
        """[C, H, W] of one image."""
        return self.train.shape

    @property
    def mean(self) -> Tensor:
        """float64 [C], mean of the training images with pixels scaled to 0..1."""
        return self.train.mean

    @property
    def std(self) -> Tensor:
        """float64 [C], standard deviation of the training images with pixels scaled to 0..1."""
        return self.train.std

    def identity(self) -> bytes:
        """Return a digest that is equal on all ranks that hold the same images."""
        held_out = self.validation.identity() if self.validation else b""
        return self.train.identity() + self.test.identity() + held_out


def digest(*tensors: Tensor) -> bytes:
    """Return the SHA-256 of shapes, dtypes and values."""
    total = hashlib.sha256()
    for tensor in tensors:
        total.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        total.update(tensor.cpu().contiguous().numpy().data)
    return total.digest()


def statistics(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation per channel, float64 [C] each, of uint8 [N, C, H, W] scaled to 0..1.

    The sums are integers, so the result is the same on every device. A constant channel gets the standard deviation 1,
    so that normalization does not divide by 0.
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
