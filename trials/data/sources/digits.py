"""scikit-learn's handwritten digits: 1,797 greyscale images of 8x8 pixels that come with the package."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from trials.data.sources.arrays import Arrays, ArraySource, Labels, Shape
from trials.data.sources.errors import DataError

TEST_IMAGES_PER_CLASS = 36
MAX_GREY_LEVEL = 16
FILE = "datasets/data/digits.csv.gz"
"""Inside scikit-learn: one image a line, 64 grey levels and the label."""


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
        images, labels = _images_and_labels()
        pixels = np.round(images * (255 / MAX_GREY_LEVEL)).astype(np.uint8)[:, None]  # [N, 1, 8, 8]
        test = _test_mask(labels)
        return Arrays(pixels[~test], labels[~test], pixels[test], labels[test], classes=10)


def _images_and_labels() -> tuple[NDArray[np.float64], Labels]:
    """Return grey levels [N, 8, 8] from 0 to ``MAX_GREY_LEVEL``, and labels [N].

    The package's file is read without the package: importing scikit-learn takes every trial process two seconds.
    """
    package = find_spec("sklearn")
    file = Path(package.origin).parent / FILE if package and package.origin else Path(FILE)
    if file.exists():
        table = np.loadtxt(file, delimiter=",")
        return table[:, :-1].reshape(-1, 8, 8), table[:, -1].astype(np.int64)
    from sklearn.datasets import load_digits

    digits = load_digits()
    return digits.images, digits.target.astype(np.int64)


def _test_mask(labels: Labels) -> NDArray[np.bool_]:
    """Return which images are test images, [N]: the same number of each class, drawn with a fixed seed."""
    generator = np.random.default_rng(0)
    test = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        test[generator.permutation(members)[:TEST_IMAGES_PER_CLASS]] = True
    return test
