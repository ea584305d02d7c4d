"""Image sources that are read into memory as a whole: their interface, and the arrays that they return.

N images, C channels, H x W pixels, K classes.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trials.data.sources.errors import DataError

Shape = tuple[int, int, int]
"""[C, H, W]."""

Pixels = NDArray[np.uint8]
"""[N, C, H, W] or [C, H, W], 0 (black) to 255."""

Labels = NDArray[np.int64]
"""[N], 0 to K - 1."""

Indices = NDArray[np.int64]
"""Indices of a subset of images, [n]."""

FileVersion = tuple[str, int, int]
"""Path, size in bytes and modification time in ns of a file: a changed file is read again."""


@dataclass(frozen=True)
class Arrays:
    """All images of a source. The trials of a process share them: do not modify."""

    train_pixels: Pixels
    train_labels: Labels
    test_pixels: Pixels
    test_labels: Labels
    classes: int
    names: tuple[str, ...] = ()
    """Names of the classes; empty: their numbers."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in the order of the labels."""
        return self.names or tuple(map(str, range(self.classes)))

    @property
    def shape(self) -> Shape:
        """[C, H, W] of one image."""
        channels, height, width = self.train_pixels.shape[1:]
        return channels, height, width


@dataclass(frozen=True)
class Known:
    """What is known of a published data set."""

    train_images: int
    test_images: int
    class_names: tuple[str, ...]


class ArraySource(ABC):
    """A source of images that fit into memory. Sources are immutable; creating one does no I/O."""

    @abstractmethod
    def locate(self) -> None:
        """Check, cheaply, that the files exist or can be downloaded.

        Raises:
            DataError: what is missing, where it was searched, and what to do.
        """

    @abstractmethod
    def image_shape(self) -> Shape:
        """Return [C, H, W] of the images. Decodes at most one image."""

    @abstractmethod
    def files(self) -> tuple[Path, ...]:
        """Return the files that :meth:`read` reads; downloads them if necessary."""

    def known(self) -> Known | None:
        """Return what is known of images that are not on disk yet; None if they are."""
        return None

    @abstractmethod
    def read(self) -> Arrays:
        """Read all images.

        Raises:
            DataError: a file that is missing or not what it should be.
        """


def read_arrays(source: ArraySource) -> Arrays:
    """Read all images of a source, once in this process for every version of its files."""
    return _read(source, file_versions(source))


def file_versions(source: ArraySource) -> tuple[FileVersion, ...]:
    """Return the version of each file of a source."""
    return tuple(map(file_version, source.files()))


def file_version(file: str | os.PathLike[str]) -> FileVersion:
    """Return the version of a file."""
    stat = os.stat(file)
    return str(file), stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=2)
def _read(source: ArraySource, versions: tuple[FileVersion, ...]) -> Arrays:
    return source.read()


def check_labels(labels: Labels, classes: int, where: str) -> None:
    """Check that every label is 0 to ``classes`` - 1.

    Raises:
        DataError: the first label out of range; ``where`` is the file or split in the message.
    """
    outside = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(outside):
        first = outside[0]
        raise DataError(
            f"labels must be 0 to {classes - 1}, but got {labels[first]} for image {first} of {where}"
        )


def count_classes(labels: Labels, where: str) -> int:
    """Return K, the number of classes in the training labels.

    Raises:
        DataError: the labels are not numbered 0 to K - 1 without gaps.
    """
    present = np.unique(labels)
    for expected, label in enumerate(present):
        if label != expected:
            raise DataError(
                f"training labels must use every number from 0 to the largest, but {where} has {label} "
                f"and no {expected}"
            )
    return len(present)
