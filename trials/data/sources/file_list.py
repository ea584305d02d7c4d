"""Images in files of their own: the interface of such sources, their list of files, and the survey of it.

C channels, H x W pixels, B files of a batch.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trials.data.sources.arrays import FileVersion, Pixels, Shape, file_version
from trials.data.sources.decoding import check_shape, decode
from trials.data.sources.errors import DataError
from trials.data.sources.labels import Classes
from trials.data.sources.splits import SPLITS, Split
from trials.data.sources.survey_cache import survey_once
from trials.data.sources.surveys import Examined, ImageSurvey, Survey, examine, hashed_bytes

READERS = 8
"""Threads that read headers: storage over a network answers slowly."""


@dataclass(frozen=True)
class FileList:
    """The image files of a data set, and their labels in the same order."""

    files: Mapping[Split, tuple[str, ...]]
    classes: Classes
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FileSource(ABC):
    """A source of images that stay in files. Sources are immutable; creating one does no I/O."""

    path: str | None
    image_size: int | None = None
    channels: int | None = None

    @abstractmethod
    def list_files(self) -> FileList:
        """Return all files and labels.

        Raises:
            DataError: images or classes are missing.
        """

    def locate(self) -> None:
        """Check that there are images.

        Raises:
            DataError: what is missing.
        """
        self.list_files()

    def survey(self) -> Survey:
        """Return what the files tell.

        Raises:
            DataError: images are missing, cannot be used, or do not fit together.
        """
        return self.survey_of(self.list_files())

    def survey_of(self, listing: FileList) -> Survey:
        """Return what the files of a list tell; they are read again only where one of them has changed."""
        stats = {split: _stats(listing.files[split]) for split in SPLITS if split in listing.files}
        labels = {split: listing.classes.labels[split].tolist() for split in stats}
        version = (repr(self), stats, labels, listing.classes.names, listing.notes)
        images = sum(map(len, stats.values()))

        def look() -> Survey:
            limit = hashed_bytes(images, sum(size for part in stats.values() for _, size, _ in part))
            result = ImageSurvey(self.image_size, self.channels, listing.classes)
            for split in stats:
                result.add(split, _examined(listing.files[split], limit))
            return result.result(listing.notes)

        return survey_once(repr(version), images, look)


def decode_file(file: str, size: int | None, shape: Shape) -> Pixels:
    """Decode one file to uint8 [C, H, W].

    Raises:
        DataError: it cannot be read, is not an image, or does not have ``shape`` [C, H, W].
    """
    try:
        content = Path(file).read_bytes()
    except OSError as error:
        raise _unreadable(file, error) from error
    pixels = decode(content, size, shape[0], file)
    check_shape(pixels, shape, file)
    return pixels


def decode_files(files: list[str], size: int | None, shape: Shape) -> Pixels:
    """Decode files to uint8 [B, C, H, W]. Runs in a reader process."""
    pixels = np.empty((len(files), *shape), dtype=np.uint8)
    for i, file in enumerate(files):
        pixels[i] = decode_file(file, size, shape)
    return pixels


def _stats(files: Sequence[str]) -> list[FileVersion]:
    found = []
    for file in files:
        try:
            found.append(file_version(file))
        except OSError as error:
            raise _unreadable(file, error) from error
    return found


def _examined(files: Sequence[str], limit: int) -> Iterator[tuple[str, Examined]]:
    def look(file: str) -> tuple[str, Examined]:
        try:
            with open(file, "rb") as opened:
                return file, examine(opened, os.fstat(opened.fileno()).st_size, limit, file)
        except OSError as error:
            raise _unreadable(file, error) from error

    with ThreadPoolExecutor(READERS) as pool:
        yield from pool.map(look, files)


def _unreadable(file: str, error: OSError) -> DataError:
    return DataError(f"{file} was listed, but cannot be read: {error.strerror}")
