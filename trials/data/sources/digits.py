"""scikit-learn's handwritten digits: 1,797 real 8x8 images that come with the package. Nothing to fetch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trials.data.sources.arrays import Arrays, Shape
from trials.data.sources.errors import DataError

TEST_IMAGES_A_CLASS = 36
BRIGHTEST = 16


@dataclass(frozen=True)
class Digits:
    """1,437 training and 360 test images (36 a class): a split that no seed changes."""

    path: str | None = None

    def locate(self) -> None:
        """Check that no path is given (DataError): there is no file to look for."""
        if self.path is not None:
            raise DataError(f"`data.path` must be null for digits, which need no file, but got {self.path!r}")

    def image_shape(self) -> Shape:
        """Return [C, H, W]."""
        return 1, 8, 8

    def files(self) -> tuple[Path, ...]:
        """Return the files that ``read`` reads."""
        self.locate()
        return ()

    def read(self) -> Arrays:
        """Return the images, their 17 grey levels spread over 0 to 255."""
        from sklearn.datasets import load_digits

        digits = load_digits()
        pixels = np.round(digits.images * (255 / BRIGHTEST)).astype(np.uint8)[:, None]  # [N, 1, 8, 8]
        labels = digits.target.astype(np.int64)
        test = _test_images(labels)
        return Arrays(pixels[~test], labels[~test], pixels[test], labels[test], classes=10)


def _test_images(labels: np.ndarray) -> np.ndarray:
    """Return [N] bool: the same number of each class, drawn with a fixed seed."""
    generator = np.random.default_rng(0)
    test = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        test[generator.permutation(members)[:TEST_IMAGES_A_CLASS]] = True
    return test
