"""Random crop, flip and cutout of a whole batch at a time, and normalization.

All random numbers of an epoch are drawn in advance, one row per image. So the augmentation of an image depends only on
its position in the epoch: not on the device, the number of ranks, or the step at which a trial resumes.

B images of a batch, C channels, H x W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trials.config import DataConfig
from trials.data.sources.arrays import Shape

CROP_ROW, CROP_COLUMN, MIRRORED, CUTOUT_ROW, CUTOUT_COLUMN = range(5)
"""Columns of the drawn random numbers."""


@dataclass(frozen=True)
class Augmentation:
    """Augmentation of training images: crop, then flip, then (after normalization) cutout."""

    crop_padding: int = 0
    """Black padding on each side, in pixels, before the image is cropped to its size at a random offset; 0: off."""
    flip: bool = False
    """Flip each image left to right with probability 1/2."""
    cutout: int = 0
    """Side of the square that is set to the mean, in pixels; 0: off. Its centre is a random pixel of the image, so
    part of it may lie outside."""

    @classmethod
    def of(cls, config: DataConfig) -> Augmentation | None:
        """Return the augmentation that ``config`` describes; None if all of it is off."""
        augmentation = cls(crop_padding=config.crop_padding, flip=config.flip, cutout=config.cutout)
        return None if augmentation == cls() else augmentation

    def draw(self, count: int, shape: Shape, generator: np.random.Generator) -> Tensor:
        """Draw the random numbers for ``count`` images of ``shape`` [C, H, W]: int64 [count, 5]."""
        _, height, width = shape
        draws = np.zeros((count, 5), dtype=np.int64)
        if self.crop_padding:
            draws[:, CROP_ROW : CROP_COLUMN + 1] = generator.integers(
                0, 2 * self.crop_padding + 1, (count, 2)
            )
        if self.flip:
            draws[:, MIRRORED] = generator.integers(0, 2, count)
        if self.cutout:
            draws[:, CUTOUT_ROW] = generator.integers(0, height, count)
            draws[:, CUTOUT_COLUMN] = generator.integers(0, width, count)
        return torch.from_numpy(draws)

    @staticmethod
    def no_draws(count: int, device: torch.device) -> Tensor:
        """Return random numbers for ``count`` images that are still to be filled in: int64 [count, 5]."""
        return torch.zeros((count, 5), dtype=torch.int64, device=device)

    def crop_and_flip(self, pixels: Tensor, draws: Tensor) -> Tensor:
        """Crop and flip uint8 images [B, C, H, W] according to ``draws`` [B, 5]."""
        if not (self.crop_padding or self.flip):
            return pixels
        batch, channels, height, width = pixels.shape
        padding = self.crop_padding
        padded = F.pad(pixels, (padding,) * 4) if padding else pixels
        x = torch.arange(width, device=pixels.device)
        y = torch.arange(height, device=pixels.device)
        x = torch.where(draws[:, MIRRORED, None] == 1, x.flip(0), x) + draws[:, CROP_COLUMN, None]  # [B, W]
        y = y + draws[:, CROP_ROW, None]  # [B, H]
        index = y[:, :, None] * (width + 2 * padding) + x[:, None, :]  # [B, H, W], into the padded image
        index = index.view(batch, 1, height * width).expand(-1, channels, -1)
        return padded.flatten(2).gather(2, index).view(batch, channels, height, width)

    def cutout_mask(self, draws: Tensor, height: int, width: int) -> Tensor:
        """Return 0 inside the cutout squares of ``draws`` [B, 5] and 1 elsewhere: float32 [B, 1, H, W]."""
        rows = self._inside(draws[:, CUTOUT_ROW, None], height).float()  # [B, H]
        columns = self._inside(draws[:, CUTOUT_COLUMN, None], width).float()  # [B, W]
        return 1 - (rows[:, :, None] * columns[:, None, :])[:, None]

    def _inside(self, centre: Tensor, size: int) -> Tensor:
        """Return which of ``size`` coordinates lie within the square around ``centre`` [B, 1]: bool [B, size]."""
        distance = torch.arange(size, device=centre.device) - centre + self.cutout // 2
        return (distance >= 0) & (distance < self.cutout)


class Normalization:
    """Normalization of byte images: (x / 255 - mean) / std, with ``mean`` and ``std`` float64 [C]."""

    def __init__(self, mean: Tensor, std: Tensor, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self._exact = torch.float64 if dtype == torch.float64 else torch.float32
        self._scale = (1 / (255 * std)).to(self._exact).view(-1, 1, 1)
        self._shift = (-mean / std).to(self._exact).view(-1, 1, 1)

    def __call__(self, pixels: Tensor, mask: Tensor | None = None) -> Tensor:
        """Normalize uint8 images [B, C, H, W] to ``dtype``, channels-last.

        Pixels whose ``mask`` [B, 1, H, W] is 0 become 0, which is the mean. Computed in float32 at least, and rounded
        to ``dtype`` at the end.
        """
        images = pixels.to(self._exact).mul_(self._scale).add_(self._shift)
        if mask is not None:
            images.mul_(mask)  # on the CPU twenty times faster than masked_fill_
        return images.to(self.dtype).contiguous(memory_format=torch.channels_last)


def augment(pixels: Tensor, draws: Tensor, augmentation: Augmentation, normalize: Normalization) -> Tensor:
    """Augment uint8 images [B, C, H, W] according to ``draws`` [B, 5], and normalize them."""
    mask = augmentation.cutout_mask(draws, *pixels.shape[2:]) if augmentation.cutout else None
    return normalize(augmentation.crop_and_flip(pixels, draws), mask)
