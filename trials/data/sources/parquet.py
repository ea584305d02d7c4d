"""Images in one Parquet file, with the columns ``image`` (PNG or JPEG), ``label`` (0 to K - 1) and ``split``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from typing_extensions import override

from trials.data.sources.arrays import Arrays, ArraySource, Labels, Pixels, Shape, check_labels, count_classes
from trials.data.sources.decoding import check_shape, content_of, decode
from trials.data.sources.errors import DataError
from trials.data.sources.locations import require_path

if TYPE_CHECKING:
    import pyarrow.parquet as pq

COLUMNS = ("image", "label", "split")
SPLITS = ("train", "test")
BATCH_ROWS = 1024


@dataclass(frozen=True)
class ParquetImages(ArraySource):
    """The Parquet file ``path``. Rows of splits other than train and test are ignored."""

    path: str | None
    image_size: int | None = None

    @override
    def locate(self) -> None:
        with _open(self._file()):
            pass

    @override
    def image_shape(self) -> Shape:
        path = self._file()
        with _open(path) as file:
            for row, content, _, split in _rows(file, path):
                if split == SPLITS[0]:
                    return _shape_of(decode(content, self.image_size, None, _where(path, row)))
        raise _no_rows(path, SPLITS[0])

    @override
    def files(self) -> tuple[Path, ...]:
        return (self._file(),)

    @override
    def read(self) -> Arrays:
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
        return require_path(self.path, "parquet", "a Parquet file of images", folder=False)


def _open(path: Path) -> pq.ParquetFile:
    """Open the file and check that it has the columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from results.errors import nearest

    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise _not_parquet(path, error) from error
    names = file.schema_arrow.names
    for column in COLUMNS:
        if column not in names:
            file.close()
            hint = nearest(column, names)
            raise DataError(f"{path} must have the columns {', '.join(COLUMNS)}, but has no `{column}`{hint}")
    return file


def _rows(file: pq.ParquetFile, path: Path) -> Iterator[tuple[int, bytes, int, str]]:
    """Yield (row, image bytes, label, split) in file order."""
    import pyarrow as pa

    row = 0
    try:
        for batch in file.iter_batches(BATCH_ROWS, columns=list(COLUMNS)):
            for image, label, split in zip(*(batch[name].to_pylist() for name in COLUMNS), strict=True):
                yield row, content_of(image, _where(path, row)), _label(label, _where(path, row)), split
                row += 1
    except (pa.ArrowException, OSError) as error:
        raise _not_parquet(path, error) from error


def _label(value: object, where: str) -> int:
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


def _not_parquet(path: Path, error: Exception) -> DataError:
    return DataError(
        f"`data.path` must be a whole Parquet file, but {path} is not: {' '.join(str(error).split())}"
    )
