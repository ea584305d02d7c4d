"""The names of columns in questions: as they are stored, as tables show them, or as paths of fields."""

from __future__ import annotations

from collections.abc import Mapping

from results.pareto.objectives import Columns, column_list
from results.schema import column_of_path


def columns_of(names: Columns | None) -> tuple[str, ...]:
    """Return the columns that ``names`` stand for; None stands for no column.

    >>> columns_of(["accuracy", "lambda", "train.momentum"])
    ('accuracy', 'regularization', 'train_momentum')
    """
    return tuple(map(column_of_path, column_list(names)))


def with_columns(values: Mapping[str, float]) -> dict[str, float]:
    """Return ``values`` by the columns that their names stand for."""
    return {column_of_path(name): value for name, value in values.items()}
