"""A survey of a data set: what its files and their headers tell, without decoding the images.

It finds what would fail every trial, and what would be used in another way than people expect.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

from trials.data.sources.arrays import Arrays, Shape
from trials.data.sources.decoding import Header, decode, other_size, read_header
from trials.data.sources.errors import DataError
from trials.data.sources.labels import Classes
from trials.data.sources.splits import SPLITS, Split
from trials.heartbeat import beating

HASHED_BYTES = 2**30
"""Content that the fingerprint reads. Of larger data sets, it reads the beginning and the size of every file."""
LEAST_BYTES = 4096
"""Content of a file that the fingerprint reads at least."""


@dataclass(frozen=True)
class Survey:
    """What is known about a data set before its images are read."""

    shape: Shape
    """[C, H, W] of every image."""
    counts: Mapping[Split, int]
    """Number of images."""
    class_names: tuple[str, ...]
    fingerprint: str | None
    """Digest of images and labels; None if they are still to be downloaded."""
    notes: tuple[str, ...] = ()
    """What is used in another way than people may expect, one line each."""


class Examined(NamedTuple):
    """An image file after a look at its header and its content."""

    header: Header | None
    fault: str
    """Why it cannot be used; empty if it can."""
    digest: bytes


def examine(file: BinaryIO, size: int, limit: int, where: str) -> Examined:
    """Read the header of an image file, and digest at most ``limit`` bytes of its content.

    Args:
        file: the image file.
        size: its bytes.
        limit: see ``hashed_bytes``.
        where: its name in messages.
    """
    content = file.read(limit)
    digest = hashlib.sha256(content + size.to_bytes(8, "big")).digest()
    file.seek(0)
    try:
        header = read_header(file, where)
        if size <= limit and not _has_end(content):
            decode(content, None, None, where)  # a file that breaks off
    except DataError as error:
        return Examined(None, str(error), digest)
    return Examined(header, "", digest)


def hashed_bytes(images: int, total_bytes: int) -> int:
    """Return how much of each file the fingerprint reads."""
    return total_bytes if total_bytes <= HASHED_BYTES else max(LEAST_BYTES, HASHED_BYTES // max(1, images))


@dataclass
class ImageSurvey:
    """The survey of a data set of image files, image by image."""

    image_size: int | None
    channels: int | None
    """Configured channels; None: as in the images."""
    classes: Classes
    colour: int = 0
    """Images with colour."""
    total: int = 0
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    examples: dict[tuple[int, int], str] = field(default_factory=dict)
    remarks: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    fingerprint: hashlib._Hash = field(default_factory=hashlib.sha256)

    def add(self, split: Split, images: Iterable[tuple[str, Examined]]) -> None:
        """Add the images of a split: the name of each, and what was found, in the order of the labels."""
        self.fingerprint.update(split.encode())
        labels = self.classes.labels[split].tolist()
        for label, (where, examined) in zip(labels, beating(images), strict=True):
            self.total += 1
            self.fingerprint.update(examined.digest + self.classes.names[label].encode())
            if examined.header is None:
                self.faults.append(examined.fault)
                continue
            header = examined.header
            self.colour += header.channels == 3
            size = (header.height, header.width)
            self.sizes[size] += 1
            self.examples.setdefault(size, where)
            self.remarks.update(header.remarks)

    def result(self, notes: Iterable[str]) -> Survey:
        """Return the survey.

        Raises:
            DataError: images that cannot be used, or do not fit together.
        """
        if self.faults:
            more = f" (and {len(self.faults) - 1:,} more)" if len(self.faults) > 1 else ""
            raise DataError(self.faults[0] + more)
        return Survey(
            shape=self._shape(),
            counts={split: len(self.classes.labels.get(split, ())) for split in SPLITS},
            class_names=self.classes.names,
            fingerprint=self.fingerprint.hexdigest()[:16],
            notes=(*notes, *self.classes.notes, *self._class_remarks(), *self._remarks()),
        )

    def _class_remarks(self) -> Iterator[str]:
        names = self.classes.names
        if len(names) == 1:
            yield f"all images are of one class, {names[0]}: there is nothing to learn"
        untested = set(range(len(names))) - set(self.classes.labels["test"].tolist())
        if untested:
            yield f"{len(untested):,} of {len(names):,} classes have no test image, such as {names[min(untested)]}"

    def _shape(self) -> Shape:
        channels = self.channels or (3 if self.colour else 1)
        if self.image_size is not None:
            return channels, self.image_size, self.image_size
        usual = self.sizes.most_common(1)[0][0]
        other = next((size for size in self.sizes if size != usual), None)
        if other is not None:
            raise other_size((channels, *usual), (channels, *other), self.examples[other])
        return channels, *usual

    def _remarks(self) -> Iterator[str]:
        total = self.total
        for remark, count in self.remarks.most_common():
            yield f"{count:,} of {total:,} images {remark}"
        if self.channels is None and 0 < self.colour < total:
            yield f"{total - self.colour:,} of {total:,} images are grey, and become colour like the others"
        if self.channels == 1 and self.colour:
            yield f"{self.colour:,} of {total:,} images have colour, and become grey (`data.channels`)"
        cropped = sum(count for (height, width), count in self.sizes.items() if height != width)
        if self.image_size is not None and cropped:
            yield f"{cropped:,} of {total:,} images are not square, and lose their margins (`data.image_size`)"


def survey_of_arrays(arrays: Arrays) -> Survey:
    """Return the survey of images that are in memory."""
    digest = hashlib.sha256()
    for array in (arrays.train_pixels, arrays.train_labels, arrays.test_pixels, arrays.test_labels):
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(array.data if array.flags.c_contiguous else array.tobytes())
    counts: dict[Split, int] = {
        "train": len(arrays.train_labels), "validation": 0, "test": len(arrays.test_labels),
    }  # fmt: skip
    return Survey(arrays.shape, counts, arrays.class_names, digest.hexdigest()[:16])


def _has_end(content: bytes) -> bool:
    """Whether a PNG or a JPEG holds its last mark; other formats say in their header how long they are."""
    if content.startswith(b"\x89PNG"):
        return b"IEND" in content[-4096:]
    return not content.startswith(b"\xff\xd8") or b"\xff\xd9" in content[-4096:]
