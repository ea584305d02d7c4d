"""What a source hands on: images and labels as arrays in main memory.

N images, C channels, H x W pixels, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trials.data.sources.errors import DataError

Shape = tuple[int, int, int]
"""[C, H, W]."""

Pixels = NDArray[np.uint8]
"""[N, C, H, W], 0 black to 255."""

Labels = NDArray[np.int64]
"""[N], 0 to K - 1."""


@dataclass(frozen=True)
class Arrays:
    """All images of a source, shared by the trials of a process: nobody writes into them."""

    train_pixels: Pixels
    train_labels: Labels
    test_pixels: Pixels
    test_labels: Labels
    classes: int

    @property
    def shape(self) -> Shape:
        """[C, H, W] of one image."""
        channels, height, width = self.train_pixels.shape[1:]
        return channels, height, width


def check_labels(labels: Labels, classes: int, where: str) -> None:
    """Raise DataError unless every label is 0 to ``classes`` - 1; ``where`` names the file or split."""
    outside = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(outside):
        first = outside[0]
        raise DataError(
            f"labels must be 0 to {classes - 1}, but got {labels[first]} for image {first} of {where}"
        )


def count_classes(labels: Labels, where: str) -> int:
    """Return K for training labels that number their classes 0 to K - 1; DataError where one is left out."""
    present = np.unique(labels)
    for expected, label in enumerate(present):
        if label != expected:
            raise DataError(
                f"training labels must use every number from 0 to the largest, but {where} has {label} "
                f"and no {expected}"
            )
    return len(present)
