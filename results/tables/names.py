"""The names of columns in questions: as they are stored, as tables show them, or as paths of fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from results.pareto.objectives import Columns, column_list
from results.schema import column_of_path
from results.tables.frames import computed


def columns_of(names: Columns | None) -> tuple[str, ...]:
    """Return the columns that ``names`` stand for; None stands for no column.

    >>> columns_of(["accuracy", "lambda", "train.momentum"])
    ('accuracy', 'regularization', 'train_momentum')
    """
    return tuple(map(column_of_path, column_list(names)))


def with_columns(values: Mapping[str, float]) -> dict[str, float]:
    """Return ``values`` by the columns that their names stand for."""
    return {column_of_path(name): value for name, value in values.items()}


def with_named(points: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """Return points with a column for each name that can be computed from them, such as ``gap`` or ``data.path``."""
    for name in names:
        column = column_of_path(name)
        if column not in points.columns and (values := computed(points, name)) is not None:
            points = points.assign(**{column: values})
    return points
