"""``front.parquet`` of a run: its Pareto front as last computed."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from results.schema import POINTS
from results.storage.checked_files import CheckedFiles
from results.storage.parquet_files import parquet
from results.storage.parquet_files.schema_cast import ColumnSelection, join

PATH = "front.parquet"


@dataclass(frozen=True)
class FrontFile:
    """The stored front: points of the schema ``POINTS``."""

    files: CheckedFiles

    def write(self, points: pa.Table) -> None:
        """Store the front."""
        self.files.replace(PATH, parquet.large_file(points))

    def read(self) -> pa.Table | None:
        """Return the stored front; None if there is none, or a broken one."""
        return self.files.read(PATH, self._load)

    def _load(self) -> pa.Table:
        selection = ColumnSelection(POINTS)
        return join([parquet.read_large(self.files.storage, PATH, selection)], selection)
