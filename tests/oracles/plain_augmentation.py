"""Reference augmentation: crop, mirror and cutout pixel by pixel."""

from __future__ import annotations

import numpy as np


def plain_augmentation(
    image: np.ndarray,
    crop: tuple[int, int],
    mirrored: bool,
    centre: tuple[int, int],
    padding: int,
    cutout: int,
    mean: np.ndarray,
    std: np.ndarray,
) -> np.ndarray:
    """Return the uint8 image [C, H, W] augmented and normalized, in float64; ``centre`` is that of the cutout."""
    channels, height, width = image.shape
    result = np.zeros(image.shape)
    top, left = centre[0] - cutout // 2, centre[1] - cutout // 2
    for y in range(height):
        for x in range(width):
            source_y = y + crop[0] - padding
            source_x = (width - 1 - x if mirrored else x) + crop[1] - padding
            inside = 0 <= source_y < height and 0 <= source_x < width
            erased = top <= y < top + cutout and left <= x < left + cutout
            for c in range(channels):
                value = image[c, source_y, source_x] if inside else 0
                result[c, y, x] = 0 if erased else (value / 255 - mean[c]) / std[c]
    return result
