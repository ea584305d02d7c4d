"""scikit-learn's handwritten digits: 1,797 greyscale images of 8x8 pixels that come with the package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from trials.data.sources.arrays import Arrays, ArraySource, Labels, Shape
from trials.data.sources.errors import DataError

TEST_IMAGES_PER_CLASS = 36
MAX_GREY_LEVEL = 16


@dataclass(frozen=True)
class Digits(ArraySource):
    """1,437 training and 360 test images (36 per class). The split is fixed; ``path`` must be None."""

    path: str | None = None

    @override
    def locate(self) -> None:
        if self.path is not None:
            raise DataError(f"`data.path` must be null for digits, which need no file, but got {self.path!r}")

    @override
    def image_shape(self) -> Shape:
        return 1, 8, 8

    @override
    def files(self) -> tuple[Path, ...]:
        self.locate()
        return ()

    @override
    def read(self) -> Arrays:
        from sklearn.datasets import load_digits

        digits = load_digits()
        pixels = np.round(digits.images * (255 / MAX_GREY_LEVEL)).astype(np.uint8)[:, None]  # [N, 1, 8, 8]
        labels = digits.target.astype(np.int64)
        test = _test_mask(labels)
        return Arrays(pixels[~test], labels[~test], pixels[test], labels[test], classes=10)


def _test_mask(labels: Labels) -> NDArray[np.bool_]:
    """Return which images are test images, [N]: the same number of each class, drawn with a fixed seed."""
    generator = np.random.default_rng(0)
    test = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        test[generator.permutation(members)[:TEST_IMAGES_PER_CLASS]] = True
    return test
