"""Image files that a CSV table lists: a column of paths, one of labels, and one of splits (or a table a split)."""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from typing_extensions import override

from trials.config.data import STANDARD_COLUMNS, ColumnsConfig
from trials.data.sources.errors import DataError
from trials.data.sources.file_list import FileList, FileSource
from trials.data.sources.labels import number_labels
from trials.data.sources.locations import require_tables
from trials.data.sources.splits import Split, left_out, split_called, split_of_path, with_test
from trials.data.sources.table_columns import check_columns

SUFFIXES = (".csv", ".tsv")
WHOLE_NUMBER = re.compile(r"[-+]?\d+")


@dataclass(frozen=True)
class CsvList(FileSource):
    """The tables ``path``. Paths of images are relative to the folder of their table."""

    columns: ColumnsConfig = STANDARD_COLUMNS

    @override
    def list_files(self) -> FileList:
        root, tables = require_tables(self.path, "csv", SUFFIXES)
        parts: dict[Split, _Part] = {}
        others: Counter[object] = Counter()
        for table in tables:
            _add_rows(parts, others, table, split_of_path(table.relative_to(root)), self.columns)
        used, notes = with_test(parts, str(self.path), left_out(others, str(self.path)))
        notes += _listed_twice(used)
        whole = all(WHOLE_NUMBER.fullmatch(label) for part in used.values() for label in part.labels)
        labels: Mapping[Split, list[object]] = {
            split: [int(label) if whole else label for label in part.labels] for split, part in used.items()
        }
        classes = number_labels(labels, None, str(self.path), lambda split, index: used[split].places[index])
        return FileList({split: tuple(part.files) for split, part in used.items()}, classes, tuple(notes))


@dataclass(frozen=True)
class _Part:
    files: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)


def _listed_twice(parts: Mapping[Split, _Part]) -> list[str]:
    """Return a note if an image is listed for the training and for the test, too."""
    trained = set(parts["train"].files)
    both = [
        file for split, part in parts.items() if split != "train" for file in part.files if file in trained
    ]
    if not both:
        return []
    return [f"{len(both):,} training images are listed for validation or test as well, such as {both[0]}"]


def _add_rows(
    parts: dict[Split, _Part],
    others: Counter[object],
    table: Path,
    split: Split | None,
    columns: ColumnsConfig,
) -> None:
    """Add the rows of a table to their splits, and count those of other splits."""
    try:
        text = table.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"a table of images must be UTF-8 text, but {table} is not: {error}") from error
    heading = text.partition("\n")[0]
    delimiter = max("\t,;", key=heading.count)
    rows = csv.DictReader(text.splitlines(), delimiter=delimiter, skipinitialspace=True)
    names = rows.fieldnames = [name.strip() for name in rows.fieldnames or ()]
    has_split = columns.split in names
    check_columns(table, names, columns, split)
    try:
        for number, row in enumerate(rows, 2):
            of_row = split_called(row[columns.split]) if has_split else split
            if of_row is None:
                others[row[columns.split]] += 1
            else:
                part, place = parts.setdefault(of_row, _Part()), f"line {number} of {table}"
                if not row[columns.image]:
                    raise DataError(f"every image must be a path, but {place} has none")
                part.files.append(os.path.join(table.parent, row[columns.image]))
                part.labels.append((row[columns.label] or "").strip())
                part.places.append(place)
    except csv.Error as error:
        raise DataError(f"a table of images must be CSV, but {table} is not: {error}") from error
