"""CIFAR-10: 50,000 training and 10,000 test images of 3x32x32, in the official binary layout.

A file is a row of records: one byte of label, then the red, the green and the blue plane, 1,024 bytes each.
"""

from __future__ import annotations

import os
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trials.data.sources.arrays import Arrays, Labels, Pixels, Shape, check_labels
from trials.data.sources.errors import DataError
from trials.data.sources.standard import Standard

CLASSES = 10
SHAPE = (3, 32, 32)
RECORD_BYTES = 1 + 3 * 32 * 32
TRAIN_FILES = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
TEST_FILE = "test_batch.bin"
FOLDER = "cifar-10-batches-bin"


def unpack(archive: Path, folder: Path) -> None:
    """Copy the six files out of the published archive, each in one step, and remove the archive."""
    with tarfile.open(archive) as tar:
        for file in (*TRAIN_FILES, TEST_FILE):
            content = tar.extractfile(f"{FOLDER}/{file}")
            assert content is not None  # the archive's checksum is right
            partial = folder / f".{file}.part"
            with partial.open("wb") as out:
                shutil.copyfileobj(content, out)
            os.replace(partial, folder / file)
    archive.unlink()


CIFAR10 = Standard(
    name="cifar10",
    files=(*TRAIN_FILES, TEST_FILE),
    folders=(FOLDER, "cifar10", f"cifar10/{FOLDER}"),
    server="https://www.cs.toronto.edu/~kriz/",
    downloads={"cifar-10-binary.tar.gz": "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"},
    unpack=unpack,
)


@dataclass(frozen=True)
class Cifar10:
    """The six files of the binary layout, in the folder ``path`` or in a usual place."""

    path: str | None = None

    def locate(self) -> None:
        """Check that the files are there or can be fetched."""
        CIFAR10.locate(self.path)

    def image_shape(self) -> Shape:
        """Return [C, H, W]."""
        return SHAPE

    def files(self) -> tuple[Path, ...]:
        """Return the files that ``read`` reads, fetched first where that is needed."""
        folder = CIFAR10.folder(self.path)
        return tuple(folder / file for file in CIFAR10.files)

    def read(self) -> Arrays:
        """Return all images; DataError for a file that is no whole number of records, or a label above 9."""
        *train_files, test_file = self.files()
        train, test = _read_files(train_files), _read_files([test_file])
        return Arrays(*train, *test, classes=CLASSES)


def _read_files(paths: list[Path]) -> tuple[Pixels, Labels]:
    records = [_records(path) for path in paths]
    pixels = np.concatenate([part[:, 1:] for part in records]).reshape(-1, *SHAPE)
    return pixels, np.concatenate([part[:, 0] for part in records]).astype(np.int64)


def _records(path: Path) -> np.ndarray:
    """Return [N, RECORD_BYTES] uint8."""
    size = path.stat().st_size
    if size == 0 or size % RECORD_BYTES:
        raise DataError(
            f"a CIFAR-10 file must be records of {RECORD_BYTES} bytes, but {path} has {size} bytes"
        )
    records = np.fromfile(path, dtype=np.uint8).reshape(-1, RECORD_BYTES)
    check_labels(records[:, 0].astype(np.int64), CLASSES, str(path))
    return records
