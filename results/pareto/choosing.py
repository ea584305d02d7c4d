"""Choosing one point out of many: the knee of a front, and the best point by priority."""

from __future__ import annotations

import numpy as np
import pandas as pd

from results.errors import ResultsError
from results.pareto import pareto
from results.pareto.objectives import Columns, Objectives, column_list


def knee(df: pd.DataFrame, *, maximize: Columns = (), minimize: Columns = ()) -> pd.Series:
    """Return the knee: the row of the front with the best compromise between the objectives.

    Each objective is scaled to 0 (best value on the front) to 1 (worst value on it); the knee has the smallest sum of
    scaled objectives. It is the row farthest from the plane through the ends of the front, towards the best corner
    (after Das, On characterizing the "knee" of the Pareto curve based on normal-boundary intersection, 1999). The
    first row wins a tie.

    Raises:
        ResultsError: no row has all objectives, or the objectives are not valid.

    >>> df = pd.DataFrame({"accuracy": [0.95, 0.94, 0.60], "macs": [900, 300, 100]})
    >>> knee(df, maximize="accuracy", minimize="macs")["macs"]
    300
    """
    return knee_of(df, Objectives.of(maximize, minimize))


def knee_of(df: pd.DataFrame, objectives: Objectives) -> pd.Series:
    """Return the knee of the rows of ``df``, as ``knee`` does."""
    front = df[pareto.front_mask(df, objectives)]
    if front.empty:
        raise ResultsError(f"a knee needs a point with {_quoted(objectives.names)}, but there is none")
    costs, _ = objectives.costs(front)
    spread = np.ptp(costs, axis=0)
    scaled = (costs - costs.min(axis=0)) / np.where(spread > 0, spread, 1.0)
    return _row(front, int(scaled.sum(axis=1).argmin()))


def best(df: pd.DataFrame, *, maximize: Columns = (), minimize: Columns = ()) -> pd.Series:
    """Return the best row by the first objective; the next objectives break ties, in order.

    Columns to maximize come before columns to minimize. If rows are equal in all objectives, the first wins.

    Raises:
        ResultsError: no row has all objectives, or the objectives are not valid.

    >>> df = pd.DataFrame({"accuracy": [0.95, 0.94, 0.94], "macs": [900, 300, 100]})
    >>> best(df[df["accuracy"] > 0.9], minimize="macs")["macs"]
    100
    """
    objectives = Objectives.of(maximize, minimize)
    costs, complete = objectives.costs(df)
    if not complete.any():
        names = _quoted((*column_list(maximize), *column_list(minimize)))
        raise ResultsError(f"the best point needs a point with {names}, but there is none")
    order = np.lexsort(costs.T[::-1])  # stable; the last key has priority, hence the reversal
    return _row(df[complete], int(order[0]))


def _row(df: pd.DataFrame, position: int) -> pd.Series:
    """Return one row as object dtype, so that each value keeps its type."""
    return df.iloc[[position]].astype(object).iloc[0]


def _quoted(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)
