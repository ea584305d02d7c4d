"""A standard data set at another resolution: half the resolution takes a quarter of the macs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from typing_extensions import override

from trials.data.sources.arrays import Arrays, ArraySource, Known, Pixels, Shape, read_arrays


@dataclass(frozen=True)
class Resized(ArraySource):
    """The images of ``source``, which are all of one size, resized to ``size`` x ``size`` pixels."""

    source: ArraySource
    size: int

    @override
    def locate(self) -> None:
        self.source.locate()

    @override
    def image_shape(self) -> Shape:
        return self.source.image_shape()[0], self.size, self.size

    @override
    def files(self) -> tuple[Path, ...]:
        return self.source.files()

    @override
    def known(self) -> Known | None:
        return self.source.known()

    @override
    def read(self) -> Arrays:
        original = read_arrays(self.source)
        return replace(
            original,
            train_pixels=_resize(original.train_pixels, self.size),
            test_pixels=_resize(original.test_pixels, self.size),
        )


def _resize(pixels: Pixels, size: int) -> Pixels:
    """Return [N, C, size, size] of [N, C, H, W], interpolated bilinearly with antialiasing."""
    from PIL import Image

    count, channels = pixels.shape[:2]
    resized = np.empty((count * channels, size, size), dtype=np.uint8)
    for index, plane in enumerate(pixels.reshape(count * channels, *pixels.shape[2:])):
        resized[index] = Image.fromarray(plane).resize((size, size), Image.Resampling.BILINEAR)
    return resized.reshape(count, channels, size, size)
