"""One point out of many: the knee of a front, and the best point under conditions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from results.errors import ResultsError
from results.pareto import pareto
from results.pareto.objectives import Columns, Objectives, column_list


def knee(df: pd.DataFrame, *, maximize: Columns = (), minimize: Columns = ()) -> pd.Series[Any]:
    """Return the row of the front that bulges out most.

    Each objective is scaled to 0 (best on the front) .. 1 (worst on it); the knee is the row farthest from
    the plane through the ends of the front, towards the best corner: the row with the least sum (after Das,
    On characterizing the "knee" of the Pareto curve based on normal-boundary intersection, 1999). Of equal
    rows the first. Error: ``ResultsError`` when there is no row with all objectives.

    >>> df = pd.DataFrame({"accuracy": [0.95, 0.94, 0.60], "macs": [900, 300, 100]})
    >>> knee(df, maximize="accuracy", minimize="macs")["macs"]
    300
    """
    return knee_of(df, Objectives.of(maximize, minimize))


def knee_of(df: pd.DataFrame, objectives: Objectives) -> pd.Series[Any]:
    """Return the knee, as ``knee``, with its errors."""
    front = df[pareto.front_mask(df, objectives)]
    if front.empty:
        raise ResultsError(f"a knee needs a point with {_named(objectives.names)}, but there is none")
    costs = objectives.matrix(front)[0] * objectives.signs()
    spread = np.ptp(costs, axis=0)
    scaled = (costs - costs.min(axis=0)) / np.where(spread > 0, spread, 1.0)
    return _row(front, int(scaled.sum(axis=1).argmin()))


def best(df: pd.DataFrame, *, maximize: Columns = (), minimize: Columns = ()) -> pd.Series[Any]:
    """Return the best row in the first column named; of equal ones the best in the second, and so on.

    Columns to maximize come before those to minimize. Error: ``ResultsError`` when no row has all of them.

    >>> df = pd.DataFrame({"accuracy": [0.95, 0.94, 0.94], "macs": [900, 300, 100]})
    >>> best(df[df["accuracy"] > 0.9], minimize="macs")["macs"]
    100
    """
    objectives = Objectives.of(maximize, minimize)
    values, complete = objectives.matrix(df)
    if not complete.any():
        names = _named((*column_list(maximize), *column_list(minimize)))
        raise ResultsError(f"the best point needs a point with {names}, but there is none")
    costs = values[complete] * objectives.signs()
    first = np.lexsort(costs.T[::-1])[0]  # lexsort: the last key counts most, and equal rows keep their order
    return _row(df[complete], int(first))


def _row(df: pd.DataFrame, place: int) -> pd.Series[Any]:
    """Return one row; its values keep their types."""
    return df.iloc[[place]].astype(object).iloc[0]


def _named(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)
