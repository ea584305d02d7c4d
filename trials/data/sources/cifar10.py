"""CIFAR-10: 50,000 training and 10,000 test images of 3x32x32, in the official binary format.

A file is a sequence of records: one byte for the label, then the red, green and blue planes of 1,024 bytes each.
"""

from __future__ import annotations

import os
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from trials.data.sources.arrays import Arrays, ArraySource, Known, Labels, Pixels, Shape, check_labels
from trials.data.sources.errors import DataError
from trials.data.sources.standard import StandardDataSet

CLASSES = 10
SHAPE = (3, 32, 32)
RECORD_BYTES = 1 + 3 * 32 * 32
TRAIN_FILES = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
TEST_FILE = "test_batch.bin"
FOLDER = "cifar-10-batches-bin"
CLASS_NAMES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip


def unpack(archive: Path, folder: Path) -> None:
    """Extract the six files from the published archive, each atomically, then delete the archive."""
    with tarfile.open(archive) as tar:
        for file in (*TRAIN_FILES, TEST_FILE):
            content = tar.extractfile(f"{FOLDER}/{file}")
            assert content is not None  # the checksum of the archive has been verified
            partial = folder / f".{file}.part"
            with partial.open("wb") as out:
                shutil.copyfileobj(content, out)
            os.replace(partial, folder / file)
    archive.unlink()


CIFAR10 = StandardDataSet(
    name="cifar10",
    files=(*TRAIN_FILES, TEST_FILE),
    folders=(FOLDER, "cifar10", f"cifar10/{FOLDER}"),
    base_url="https://www.cs.toronto.edu/~kriz/",
    downloads={"cifar-10-binary.tar.gz": "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"},
    unpack=unpack,
)


@dataclass(frozen=True)
class Cifar10(ArraySource):
    """The six files of the binary format, in the folder ``path`` or a default folder."""

    path: str | None = None

    @override
    def locate(self) -> None:
        CIFAR10.locate(self.path)

    @override
    def image_shape(self) -> Shape:
        return SHAPE

    @override
    def files(self) -> tuple[Path, ...]:
        folder = CIFAR10.folder(self.path)
        return tuple(folder / file for file in CIFAR10.files)

    @override
    def known(self) -> Known | None:
        return None if CIFAR10.on_disk(self.path) else Known(50_000, 10_000, CLASS_NAMES)

    @override
    def read(self) -> Arrays:
        *train_files, test_file = self.files()
        train, test = _read_files(train_files), _read_files([test_file])
        return Arrays(*train, *test, classes=CLASSES, names=CLASS_NAMES)


def _read_files(paths: list[Path]) -> tuple[Pixels, Labels]:
    records = [_records(path) for path in paths]
    pixels = np.concatenate([part[:, 1:] for part in records]).reshape(-1, *SHAPE)
    return pixels, np.concatenate([part[:, 0] for part in records]).astype(np.int64)


def _records(path: Path) -> NDArray[np.uint8]:
    """Return [N, RECORD_BYTES]."""
    size = path.stat().st_size
    if size == 0 or size % RECORD_BYTES:
        raise DataError(
            f"a CIFAR-10 file must be records of {RECORD_BYTES} bytes, but {path} has {size} bytes"
        )
    records = np.fromfile(path, dtype=np.uint8).reshape(-1, RECORD_BYTES)
    check_labels(records[:, 0].astype(np.int64), CLASSES, str(path))
    return records
