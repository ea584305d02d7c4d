"""Pareto fronts, their layers and their hypervolume, over any columns and mixed directions. The mathematics
is moocore's.

A row dominates another when it is at least as good in every objective and better in one. Rows that are equal
in every objective do not dominate each other: duplicates of a point on the front are all on the front. A row
that lacks an objective (null, NaN or infinite) is never on a front, has no rank and adds no volume.

Shapes: n rows, m objectives.
"""

from __future__ import annotations

from collections.abc import Mapping

import moocore
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.errors import ResultsError
from results.pareto.objectives import Columns, Objectives

Reference = Mapping[str, float]
"""For each objective, the worst value that still counts."""


def pareto_front(
    df: pd.DataFrame,
    *,
    maximize: Columns = (),
    minimize: Columns = (),
    epsilon: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Return the rows of ``df`` that no other row dominates, in their order and with their index.

    ``epsilon`` thins the front out: {objective: width}. Objectives are laid in boxes of these widths (0 or
    left out: exact), only boxes that no other box dominates stay, and of each the row nearest to its best
    corner (Laumanns et al., Combining Convergence and Diversity in Evolutionary Multiobjective Optimization,
    2002). For every row of ``df``
    some returned row is less than one width worse in each objective.

    Errors: ``UnknownColumnError`` with the nearest column; ``ResultsError`` for no objective, or one twice.

    >>> df = pd.DataFrame({"accuracy": [0.9, 0.8, 0.7, None], "macs": [300, 100, 200, 1]})
    >>> pareto_front(df, maximize=["accuracy"], minimize=["macs"])
       accuracy  macs
    0       0.9   300
    1       0.8   100
    """
    objectives = Objectives.of(maximize, minimize)
    return df[front_mask(df, objectives, epsilon)]


def front_mask(
    df: pd.DataFrame, objectives: Objectives, epsilon: Mapping[str, float] | None = None
) -> NDArray[np.bool_]:
    """Return which rows are on the front, [n]."""
    values, complete = objectives.matrix(df)
    costs = values[complete] * objectives.signs()
    chosen = nondominated(costs)
    if epsilon:
        places = np.flatnonzero(chosen)
        chosen[places] = _thinned(costs[places], _widths(epsilon, objectives))
    complete[complete] = chosen
    return complete


def rank(df: pd.DataFrame, *, maximize: Columns = (), minimize: Columns = ()) -> pd.Series[int]:
    """Return the layer of each row, Int64: 1 is the front, 2 the front of the rest; null where incomplete.

    (Non-dominated sorting: Deb et al., A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II, 2002.)

    >>> df = pd.DataFrame({"accuracy": [0.9, 0.8, 0.7, None], "macs": [300, 100, 200, 1]})
    >>> rank(df, maximize=["accuracy"], minimize=["macs"]).tolist()
    [1, 1, 2, <NA>]
    """
    return layers(df, Objectives.of(maximize, minimize))


def layers(df: pd.DataFrame, objectives: Objectives) -> pd.Series[int]:
    """Return the layer of each row, as ``rank``."""
    values, complete = objectives.matrix(df)
    found = pd.array([pd.NA] * len(df), dtype="Int64")
    if complete.any():
        found[complete] = moocore.pareto_rank(values[complete] * objectives.signs()) + 1
    return pd.Series(found, index=df.index, name="rank")


def hypervolume(
    df: pd.DataFrame,
    *,
    maximize: Columns = (),
    minimize: Columns = (),
    reference: Reference | None = None,
) -> float:
    """Return the volume that the rows dominate, up to ``reference``, in the product of the objectives' units.

    ``reference`` is the worst value of each objective that still counts; rows beyond it add nothing. None
    takes the worst value of each objective among the rows: good to look at one frame, useless to compare two.
    0 for no rows.

    Errors: those of ``pareto_front``; ``ResultsError`` for a reference that lacks an objective.

    >>> df = pd.DataFrame({"accuracy": [0.9, 0.8], "macs": [300, 100]})
    >>> hypervolume(df, maximize=["accuracy"], minimize=["macs"], reference={"accuracy": 0.5, "macs": 400})
    100.0
    """
    return hypervolume_of(df, Objectives.of(maximize, minimize), reference)


def hypervolume_of(df: pd.DataFrame, objectives: Objectives, reference: Reference | None) -> float:
    """Return the hypervolume of the rows of ``df``, as ``hypervolume``."""
    values, complete = objectives.matrix(df)
    limits = worst(df, objectives) if reference is None else reference
    signs = objectives.signs()
    return volume(values[complete] * signs, objectives.vector(limits, "`reference`") * signs)


def worst(df: pd.DataFrame, objectives: Objectives) -> dict[str, float]:
    """Return the worst value of each objective among the complete rows; zeros for no rows."""
    values, complete = objectives.matrix(df)
    costs = values[complete] * objectives.signs()
    limits = costs.max(axis=0) * objectives.signs() if len(costs) else np.zeros(len(objectives.names))
    return dict(zip(objectives.names, limits.tolist(), strict=True))


def volume(costs: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """Return the hypervolume of ``costs`` [n, m], all to be minimized, up to ``reference`` [m]."""
    costs = costs[(costs < reference).all(axis=1)]
    if not len(costs):
        return 0.0
    return float(moocore.hypervolume(costs[nondominated(costs)], ref=reference))


def nondominated(costs: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which rows of ``costs`` [n, m], all to be minimized, no other row dominates, [n]."""
    if not len(costs):
        return np.zeros(0, dtype=bool)
    return np.asarray(moocore.is_nondominated(costs, keep_weakly=True), dtype=bool)


def _widths(epsilon: Mapping[str, float], objectives: Objectives) -> NDArray[np.float64]:
    widths = objectives.vector(dict.fromkeys(objectives.names, 0.0) | dict(epsilon), "`epsilon`")
    if (widths < 0).any():
        raise ResultsError(f"`epsilon` must be 0 or more, but got {dict(epsilon)}")
    return widths


def _thinned(costs: NDArray[np.float64], widths: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which rows stay when each box of these widths keeps one row, and dominated boxes none."""
    boxed = widths > 0
    divisor = np.where(boxed, widths, 1.0)
    boxes = np.where(boxed, np.floor(costs / divisor), costs) + 0.0  # no -0.0
    distance = np.where(boxed, costs / divisor - boxes, 0.0)
    distance = np.sqrt((distance**2).sum(axis=1))
    nearest_first = np.lexsort((np.arange(len(costs)), distance))
    _, firsts = np.unique(boxes[nearest_first], axis=0, return_index=True)
    chosen = np.zeros(len(costs), dtype=bool)
    chosen[nearest_first[firsts]] = nondominated(boxes[nearest_first[firsts]])
    return chosen
