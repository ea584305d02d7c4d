"""Images in Parquet files: encoded images, labels, and a column of splits or a file a split.

So are the data sets of Hugging Face: ``train-00000-of-00002.parquet``, images as structs, names of classes in the
metadata. C channels, H x W pixels.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trials.config.data import STANDARD_COLUMNS, ColumnsConfig
from trials.data.sources.arrays import FileVersion, Pixels, Shape, file_version
from trials.data.sources.decoding import check_shape, content_of, decode
from trials.data.sources.errors import DataError
from trials.data.sources.labels import Classes, number_labels
from trials.data.sources.locations import require_tables
from trials.data.sources.splits import SPLITS, Split, left_out, split_called, split_of_path, with_test
from trials.data.sources.survey_cache import survey_once
from trials.data.sources.surveys import Examined, ImageSurvey, Survey, examine, hashed_bytes
from trials.data.sources.table_columns import check_columns
from trials.heartbeat import beating

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

SUFFIXES = (".parquet", ".pq")
BATCH_ROWS = 1024


@dataclass(frozen=True)
class RowList:
    """The rows of a data set that hold images, by split."""

    files: tuple[Path, ...]
    rows: Mapping[Split, NDArray[np.int64]]
    """Row of each image, counted through all files."""
    classes: Classes
    first_rows: tuple[int, ...]
    """Number of rows before each file."""
    notes: tuple[str, ...] = ()

    def place(self, row: int) -> str:
        """Return where a row stands, for messages."""
        file = int(np.searchsorted(self.first_rows, row, "right")) - 1
        return f"row {row - self.first_rows[file]} of {self.files[file]}"


@dataclass(frozen=True)
class ParquetImages:
    """The Parquet files ``path``. Rows of splits other than train, test and validation are ignored.

    Only the images that a trial uses are decoded.
    """

    path: str | None
    image_size: int | None = None
    channels: int | None = None
    columns: ColumnsConfig = STANDARD_COLUMNS

    def locate(self) -> None:
        """Check that the files exist and have the columns."""
        self.list_rows()

    def list_rows(self) -> RowList:
        """Return the rows and labels of all splits. Reads no image.

        Raises:
            DataError: files, columns or splits are missing, or labels are not what they should be.
        """
        return _list_rows(self, self._versions())

    def survey(self) -> Survey:
        """Return what the files and the headers of the images tell.

        Raises:
            DataError: images cannot be used, or do not fit together.
        """
        listing = self.list_rows()
        images = sum(map(len, listing.rows.values()))
        versions = self._versions()

        def look() -> Survey:
            limit = hashed_bytes(images, sum(size for _, size, _ in versions))
            found: dict[Split, list[tuple[str, Examined]]] = {}
            split_of = {int(row): split for split, rows in listing.rows.items() for row in rows}
            for row, content in self._contents(listing, np.sort(np.fromiter(split_of, dtype=np.int64))):
                where = listing.place(row)
                examined = examine(io.BytesIO(content), len(content), limit, where)
                found.setdefault(split_of[row], []).append((where, examined))
            result = ImageSurvey(self.image_size, self.channels, listing.classes)
            for split in SPLITS:
                if split in found:
                    result.add(split, found[split])
            return result.result(listing.notes)

        return survey_once(repr((self, versions)), images, look)

    def decode(self, split: Split, indices: NDArray[np.int64], shape: Shape) -> Pixels:
        """Decode the images ``indices`` of a split to uint8 [N, C, H, W].

        Raises:
            DataError: an image cannot be decoded, or does not have ``shape`` [C, H, W].
        """
        listing = self.list_rows()
        rows = listing.rows[split][indices]
        order = np.argsort(rows, kind="stable")
        pixels = np.empty((len(rows), *shape), dtype=np.uint8)
        for position, (row, content) in zip(order, self._contents(listing, rows[order]), strict=True):
            where = listing.place(row)
            image = decode(content, self.image_size, shape[0], where)
            check_shape(image, shape, where)
            pixels[position] = image
        return pixels

    def _versions(self) -> tuple[FileVersion, ...]:
        _, files = require_tables(self.path, "parquet", SUFFIXES)
        return tuple(map(file_version, files))

    def _contents(self, listing: RowList, rows: NDArray[np.int64]) -> Iterator[tuple[int, bytes]]:
        """Yield each of ``rows``, which are sorted, and the image file in it."""
        for start, path in zip(listing.first_rows, listing.files, strict=True):
            with _open(path) as file:
                for batch_start, batch in _batches(file, path, self.columns.image, start, rows):
                    wanted = _between(rows, batch_start, batch_start + len(batch))
                    values = batch.take(wanted - batch_start).to_pylist()
                    for row, value in zip(wanted.tolist(), values, strict=True):
                        yield row, content_of(value, listing.place(row))


def _open(path: Path) -> pq.ParquetFile:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise _not_parquet(path, error) from error


def _batches(
    file: pq.ParquetFile, path: Path, column: str, start: int, rows: NDArray[np.int64]
) -> Iterator[tuple[int, pa.Array]]:
    """Yield the first row and the cells of every batch of a file; row groups without any of ``rows`` are skipped."""
    import pyarrow as pa

    try:
        for group in range(file.num_row_groups):
            end = start + file.metadata.row_group(group).num_rows
            if len(_between(rows, start, end)):
                first = start
                for batch in beating(file.iter_batches(BATCH_ROWS, row_groups=[group], columns=[column])):
                    yield first, batch.column(0)
                    first += batch.num_rows
            start = end
    except (pa.ArrowException, OSError) as error:
        raise _not_parquet(path, error) from error


def _between(rows: NDArray[np.int64], start: int, end: int) -> NDArray[np.int64]:
    return rows[np.searchsorted(rows, start) : np.searchsorted(rows, end)]


@dataclass
class _Part:
    rows: list[NDArray[np.int64]] = field(default_factory=list)
    labels: list[object] = field(default_factory=list)


@lru_cache(maxsize=4)
def _list_rows(source: ParquetImages, versions: tuple[FileVersion, ...]) -> RowList:
    root, files = require_tables(source.path, "parquet", SUFFIXES)
    parts: dict[Split, _Part] = {}
    others: Counter[object] = Counter()
    first_rows, count, names = [], 0, None
    for path in files:
        first_rows.append(count)
        with _open(path) as file:
            names = names or _class_names(file.schema_arrow, source.columns.label)
            for split, rows, labels in _rows(
                file, path, split_of_path(path.relative_to(root)), source.columns, others
            ):
                part = parts.setdefault(split, _Part())
                part.rows.append(count + rows)
                part.labels += labels
            count += file.metadata.num_rows
    used, notes = with_test(parts, str(source.path), left_out(others, str(source.path)))
    rows_of = {split: np.concatenate(part.rows) for split, part in used.items()}
    where = RowList(tuple(files), rows_of, Classes((), {}), tuple(first_rows))
    raw: dict[Split, Sequence[object]] = {split: part.labels for split, part in used.items()}
    classes = number_labels(
        raw, names, str(source.path), lambda split, index: where.place(int(rows_of[split][index]))
    )
    return replace(where, classes=classes, notes=tuple(notes))


def _rows(
    file: pq.ParquetFile, path: Path, split: Split | None, columns: ColumnsConfig, others: Counter[object]
) -> Iterator[tuple[Split, NDArray[np.int64], list[object]]]:
    """Yield the rows of a file and their labels for each split; count in ``others`` those that are of none."""
    import pyarrow as pa

    names = file.schema_arrow.names
    has_split = columns.split in names
    check_columns(path, names, columns, split)
    try:
        table = file.read(columns=[columns.label, *([columns.split] if has_split else [])])
    except (pa.ArrowException, OSError) as error:
        raise _not_parquet(path, error) from error
    labels = table[columns.label].to_pylist()
    if not has_split:
        assert split is not None
        yield split, np.arange(len(labels)), labels
        return
    of_rows = table[columns.split].to_pylist()
    called = {name: split_called(name) for name in set(of_rows)}
    splits = [called[name] for name in of_rows]
    others.update(name for name in of_rows if called[name] is None)
    for each in SPLITS:
        rows = [row for row, of_row in enumerate(splits) if of_row == each]
        if rows:
            yield each, np.array(rows), [labels[row] for row in rows]


def _class_names(schema: pa.Schema, label: str) -> list[str] | None:
    """Return the names of the classes that the metadata of Hugging Face declare; None if there are none."""
    try:
        declared = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        names = declared["info"]["features"][label]["names"]
    except (ValueError, KeyError, TypeError):
        return None
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else None


def _not_parquet(path: Path, error: Exception) -> DataError:
    return DataError(
        f"`data.path` must be a whole Parquet file, but {path} is not: {' '.join(str(error).split())}"
    )
