"""The columns of a table of images, CSV or Parquet: image, label and split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from results.errors import nearest
from trials.config.data import ColumnsConfig
from trials.data.sources.errors import DataError
from trials.data.sources.splits import Split


def check_columns(table: Path, names: Sequence[str], columns: ColumnsConfig, split: Split | None) -> None:
    """Check that the columns ``names`` of a table include those of ``columns``.

    A table whose file name says its ``split`` needs no column of splits.

    Raises:
        DataError: the first column that is missing, and the nearest name.
    """
    for block, column in (("image", columns.image), ("label", columns.label), ("split", columns.split)):
        if column not in names and not (block == "split" and split is not None):
            have = ", ".join(f"`{name}`" for name in names[:12]) or "none"
            rule = "name it in `data.columns`"
            if block == "split":
                rule += ", or name the files train-*, test-*"
            raise DataError(
                f"{table} must have a column `{column}` ({rule}), but has {have}{nearest(column, names)}"
            )
