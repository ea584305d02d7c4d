"""Images in one Parquet file: columns ``image`` (PNG or JPEG bytes), ``label`` (0 to K - 1), ``split``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trials.data.sources.arrays import Arrays, Labels, Pixels, Shape, check_labels, count_classes
from trials.data.sources.decoding import check_shape, content_of, decode
from trials.data.sources.errors import DataError
from trials.data.sources.places import existing

COLUMNS = ("image", "label", "split")
SPLITS = ("train", "test")
ROWS_AT_A_TIME = 1024


@dataclass(frozen=True)
class ParquetImages:
    """The Parquet file ``path``; ``image`` may be a struct with ``bytes``; other splits are left alone."""

    path: str | None
    image_size: int | None = None

    def locate(self) -> None:
        """Check that the file is there and has the columns."""
        with _open(self._file()):
            pass

    def image_shape(self) -> Shape:
        """Return [C, H, W]: ``image_size``, or the size of the file's first training image."""
        path = self._file()
        with _open(path) as file:
            for row, content, _, split in _rows(file, path):
                if split == SPLITS[0]:
                    return _shape_of(decode(content, self.image_size, None, _where(path, row)))
        raise _no_rows(path, SPLITS[0])

    def files(self) -> tuple[Path, ...]:
        """Return the files that ``read`` reads."""
        return (self._file(),)

    def read(self) -> Arrays:
        """Return all images; DataError for a row with none, one of another size, or a label out of range."""
        path = self._file()
        shape = self.image_shape()
        images: dict[str, list[Pixels]] = {split: [] for split in SPLITS}
        labels: dict[str, list[int]] = {split: [] for split in SPLITS}
        with _open(path) as file:
            for row, content, label, split in _rows(file, path):
                if split in images:
                    pixels = decode(content, self.image_size, shape[0], _where(path, row))
                    check_shape(pixels, shape, _where(path, row))
                    images[split].append(pixels)
                    labels[split].append(label)
        return _arrays(images, labels, path)

    def _file(self) -> Path:
        return existing(self.path, "parquet", "a Parquet file of images", folder=False)


def _open(path: Path) -> Any:
    """Return the open ``pyarrow.parquet.ParquetFile``, its columns checked."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from results.errors import nearest

    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as fault:
        raise _not_parquet(path, fault) from fault
    names = file.schema_arrow.names
    for column in COLUMNS:
        if column not in names:
            file.close()
            hint = nearest(column, names)
            raise DataError(f"{path} must have the columns {', '.join(COLUMNS)}, but has no `{column}`{hint}")
    return file


def _rows(file: Any, path: Path) -> Iterator[tuple[int, bytes, int, str]]:
    """Yield (row, image bytes, label, split) in the order of the file."""
    import pyarrow as pa

    row = 0
    try:
        for batch in file.iter_batches(ROWS_AT_A_TIME, columns=list(COLUMNS)):
            for image, label, split in zip(*(batch[name].to_pylist() for name in COLUMNS), strict=True):
                yield row, content_of(image, _where(path, row)), _label(label, _where(path, row)), split
                row += 1
    except (pa.ArrowException, OSError) as fault:
        raise _not_parquet(path, fault) from fault


def _label(value: Any, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise DataError(f"every label must be a whole number, but {where} has {value!r}")
    return value


def _arrays(images: dict[str, list[Pixels]], labels: dict[str, list[int]], path: Path) -> Arrays:
    for split in SPLITS:
        if not images[split]:
            raise _no_rows(path, split)
    numbers: dict[str, Labels] = {split: np.array(labels[split], dtype=np.int64) for split in SPLITS}
    classes = count_classes(numbers["train"], str(path))
    check_labels(numbers["test"], classes, f"the test split of {path}")
    return Arrays(
        np.stack(images["train"]), numbers["train"], np.stack(images["test"]), numbers["test"], classes
    )


def _shape_of(pixels: Pixels) -> Shape:
    channels, height, width = pixels.shape
    return channels, height, width


def _where(path: Path, row: int) -> str:
    return f"row {row} of {path}"


def _no_rows(path: Path, split: str) -> DataError:
    return DataError(f"`split` must be train or test, both at least once, but {path} has no {split} row")


def _not_parquet(path: Path, fault: Exception) -> DataError:
    return DataError(
        f"`data.path` must be a whole Parquet file, but {path} is not: {' '.join(str(fault).split())}"
    )
