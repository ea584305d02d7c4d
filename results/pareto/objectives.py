"""What is to be maximized and what minimized: names, directions, and their matrix of a frame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.errors import ResultsError, UnknownColumnError, nearest, unknown_column

Columns = str | Sequence[str]
"""One column or several."""


@dataclass(frozen=True)
class Objectives:
    """Columns, and for each whether more is better. At least one, none twice."""

    names: tuple[str, ...]
    maximize: tuple[bool, ...]

    @classmethod
    def of(cls, maximize: Columns | None = (), minimize: Columns | None = ()) -> Objectives:
        """Return the objectives named. Error: ``ResultsError`` when there is none, or one twice.

        >>> Objectives.of("accuracy", ["macs", "memory_bytes"]).directions()
        {'accuracy': 'max', 'macs': 'min', 'memory_bytes': 'min'}
        """
        more, less = column_list(maximize), column_list(minimize)
        names = (*more, *less)
        if not names:
            raise ResultsError("there must be one objective at least, but got maximize=[], minimize=[]")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ResultsError(f"an objective must be named once, but got `{twice[0]}` twice")
        return cls(names, (True,) * len(more) + (False,) * len(less))

    @classmethod
    def of_sweep(cls, directions: Mapping[str, str]) -> Objectives:
        """Return the objectives of a sweep file, ``{"accuracy": "max"}``. Error: ``ResultsError``."""
        for name, direction in directions.items():
            if direction not in ("max", "min"):
                raise ResultsError(f"objective `{name}` must be max or min, but got {direction!r}")
        if not directions:
            raise ResultsError("a sweep must have one objective at least, but got none")
        return cls(tuple(directions), tuple(direction == "max" for direction in directions.values()))

    def directions(self) -> dict[str, str]:
        """Return the objectives as a sweep file names them."""
        return {name: "max" if more else "min" for name, more in zip(self.names, self.maximize, strict=True)}

    def signs(self) -> NDArray[np.float64]:
        """Return -1 for each objective to be maximized, else 1: times these, less is better. [m]"""
        return np.where(self.maximize, -1.0, 1.0)

    def matrix(self, frame: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return the objectives of every row, [n, m], and which rows have them all, finite, [n].

        Errors: ``UnknownColumnError``; ``ResultsError`` for a column that holds no numbers.
        """
        if unknown := [name for name in self.names if name not in frame.columns]:
            hints = ", ".join(f"`{name}`{nearest(name, frame.columns)}" for name in unknown)
            raise (
                unknown_column(unknown[0], frame.columns)
                if len(unknown) == 1
                else UnknownColumnError(f"there are no columns {hints}")
            )
        values = np.empty((len(frame), len(self.names)))
        for place, name in enumerate(self.names):
            values[:, place] = numbers(frame[name])
        return values, np.asarray(np.isfinite(values).all(axis=1), dtype=bool)

    def vector(self, values: Mapping[str, float], what: str) -> NDArray[np.float64]:
        """Return one number an objective, [m]. Error: ``ResultsError``, missing, unknown or not finite."""
        for name in values:
            if name not in self.names:
                raise ResultsError(
                    f"{what} must name objectives only, but got `{name}`{nearest(name, self.names)}"
                )
        for name in self.names:
            if name not in values or not np.isfinite(values[name]):
                raise ResultsError(f"{what} must give a number for `{name}`, but got {values.get(name)!r}")
        return np.array([float(values[name]) for name in self.names])


def numbers(column: pd.Series[Any]) -> NDArray[np.float64]:
    """Return a column as float64, null as NaN. Error: ``ResultsError`` when it holds no numbers."""
    if not pd.api.types.is_numeric_dtype(column.dtype):
        raise ResultsError(f"an objective must hold numbers, but `{column.name}` holds {column.dtype}")
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def column_list(columns: Columns | None) -> tuple[str, ...]:
    """Return one column or several as a tuple."""
    if columns is None:
        return ()
    return (columns,) if isinstance(columns, str) else tuple(columns)


def checked_columns(names: Iterable[str], frame: pd.DataFrame) -> None:
    """Raise ``UnknownColumnError`` for the first name that is no column."""
    for name in names:
        if name not in frame.columns:
            raise unknown_column(name, frame.columns)
