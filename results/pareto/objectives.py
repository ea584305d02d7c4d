"""The objectives of a front: column names, their directions, and their values as a matrix.

Shapes: n rows, k complete rows, m objectives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.errors import ResultsError, UnknownColumnError, nearest, unknown_column

Columns = str | Sequence[str]
"""One column name, or several."""


@dataclass(frozen=True)
class Objectives:
    """Column names and, for each, whether larger values are better. At least one column, none named twice."""

    names: tuple[str, ...]
    maximize: tuple[bool, ...]

    @classmethod
    def of(cls, maximize: Columns | None = (), minimize: Columns | None = ()) -> Objectives:
        """Return the objectives that maximize and minimize these columns.

        Raises:
            ResultsError: there is no column, or one is named twice.

        >>> Objectives.of("accuracy", ["macs", "memory_bytes"]).directions()
        {'accuracy': 'max', 'macs': 'min', 'memory_bytes': 'min'}
        """
        maximized, minimized = column_list(maximize), column_list(minimize)
        names = (*maximized, *minimized)
        if not names:
            raise ResultsError("there must be at least one objective, but got maximize=[], minimize=[]")
        duplicates = sorted({name for name in names if names.count(name) > 1})
        if duplicates:
            raise ResultsError(f"an objective must be named once, but got `{duplicates[0]}` twice")
        return cls(names, (True,) * len(maximized) + (False,) * len(minimized))

    @classmethod
    def of_sweep(cls, directions: Mapping[str, str]) -> Objectives:
        """Return the objectives of a sweep file, such as ``{"accuracy": "max"}``.

        Raises:
            ResultsError: there is no objective, or a direction is neither max nor min.
        """
        for name, direction in directions.items():
            if direction not in ("max", "min"):
                raise ResultsError(f"objective `{name}` must be max or min, but got {direction!r}")
        if not directions:
            raise ResultsError("a sweep must have at least one objective, but got none")
        return cls(tuple(directions), tuple(direction == "max" for direction in directions.values()))

    def directions(self) -> dict[str, str]:
        """Return the objectives in the form of a sweep file: ``{name: "max" or "min"}``."""
        return {name: "max" if more else "min" for name, more in zip(self.names, self.maximize, strict=True)}

    def signs(self) -> NDArray[np.float64]:
        """Return -1 for each objective to maximize and 1 for each to minimize, [m]: value x sign is a cost."""
        return np.where(self.maximize, -1.0, 1.0)

    def costs(self, frame: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return the complete rows as costs to minimize, [k, m], and the mask of complete rows, [n].

        Raises:
            UnknownColumnError: an objective is no column.
            ResultsError: a column is not numeric.
        """
        values, complete = self.matrix(frame)
        return values[complete] * self.signs(), complete

    def matrix(self, frame: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return the objective values of all rows, [n, m], and the mask of complete rows, [n].

        A row is complete if all its objectives are finite.

        Raises:
            UnknownColumnError: an objective is no column.
            ResultsError: a column is not numeric.
        """
        if unknown := [name for name in self.names if name not in frame.columns]:
            hints = ", ".join(f"`{name}`{nearest(name, frame.columns)}" for name in unknown)
            raise (
                unknown_column(unknown[0], frame.columns)
                if len(unknown) == 1
                else UnknownColumnError(f"there are no columns {hints}")
            )
        values = np.empty((len(frame), len(self.names)))
        for index, name in enumerate(self.names):
            values[:, index] = to_float64(frame[name])
        return values, np.asarray(np.isfinite(values).all(axis=1), dtype=bool)

    def vector(self, values: Mapping[str, float], what: str) -> NDArray[np.float64]:
        """Return one number for each objective, [m]. ``what`` names the argument in error messages.

        Raises:
            ResultsError: an objective is missing, unknown or not finite.
        """
        for name in values:
            if name not in self.names:
                raise ResultsError(
                    f"{what} must name objectives only, but got `{name}`{nearest(name, self.names)}"
                )
        for name in self.names:
            if name not in values or not np.isfinite(values[name]):
                raise ResultsError(f"{what} must give a number for `{name}`, but got {values.get(name)!r}")
        return np.array([float(values[name]) for name in self.names])


def to_float64(column: pd.Series) -> NDArray[np.float64]:
    """Return a numeric column as float64, [n]; null becomes NaN.

    Raises:
        ResultsError: the column is not numeric.
    """
    if not pd.api.types.is_numeric_dtype(column.dtype):
        raise ResultsError(f"an objective must hold numbers, but `{column.name}` holds {column.dtype}")
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def column_list(columns: Columns | None) -> tuple[str, ...]:
    """Return the column names as a tuple; None becomes an empty one."""
    if columns is None:
        return ()
    return (columns,) if isinstance(columns, str) else tuple(columns)


def check_columns(names: Iterable[str], frame: pd.DataFrame) -> None:
    """Check that all names are columns of the frame.

    Raises:
        UnknownColumnError: the first name that is no column, with the nearest column.
    """
    for name in names:
        if name not in frame.columns:
            raise unknown_column(name, frame.columns)
