"""Pareto fronts, ranks and hypervolume of data frames, over any columns and mixed directions.

How a front is computed (``front_mask``):

1. ``Objectives.costs`` picks the objective columns and negates those to maximize, so that all are minimized. It
   drops incomplete rows (an objective is null, NaN or infinite).
2. ``nondominated`` marks the rows that no other row dominates.
3. ``epsilon``, if given, thins the front to one row per grid box (``_box_representatives``).

Row a dominates row b if a is at least as good in every objective and better in at least one (Pareto dominance).
Equal rows do not dominate each other, so all duplicates of a front point are on the front. Incomplete rows are
never on a front, have no rank and add no hypervolume. moocore computes dominance, ranks and hypervolume.

Shapes: n rows, k complete rows, m objectives.
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
"""Reference point of the hypervolume: for each objective, the worst value that still counts."""


# --- fronts ---


def pareto_front(
    df: pd.DataFrame,
    *,
    maximize: Columns = (),
    minimize: Columns = (),
    epsilon: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Return the nondominated rows of ``df``, in their order and with their index.

    ``epsilon`` maps objectives to box widths and thins the front: the objective space is divided into boxes of these
    widths (0 or left out: no boxes along that objective), boxes dominated by another box are dropped, and each
    remaining box keeps the row nearest to its best corner. For every complete row of ``df``, some returned row is then
    less than one box width worse in each objective. (Epsilon-dominance: Laumanns et al., Combining Convergence and
    Diversity in Evolutionary Multiobjective Optimization, 2002.)

    Raises:
        UnknownColumnError: an objective is no column; names the nearest one.
        ResultsError: there is no objective, or one is named twice, or ``epsilon`` is not valid.

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
    """Return the mask of the rows on the front, [n]. Arguments and errors are those of ``pareto_front``."""
    costs, complete = objectives.costs(df)  # [k, m], [n]
    on_front = nondominated(costs)  # [k]
    if epsilon:
        rows = np.flatnonzero(on_front)
        on_front[rows] = _box_representatives(costs[rows], _box_widths(epsilon, objectives))
    mask = complete.copy()
    mask[complete] = on_front
    return mask


def nondominated(costs: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return the mask of the rows of ``costs`` [k, m] that no other row dominates, [k]. All are minimized."""
    if not len(costs):
        return np.zeros(0, dtype=bool)
    return np.asarray(moocore.is_nondominated(costs, keep_weakly=True), dtype=bool)


def _box_widths(epsilon: Mapping[str, float], objectives: Objectives) -> NDArray[np.float64]:
    """Return the box width of each objective, [m]; 0 where ``epsilon`` has none."""
    widths = objectives.vector(dict.fromkeys(objectives.names, 0.0) | dict(epsilon), "`epsilon`")
    if (widths < 0).any():
        raise ResultsError(f"`epsilon` must be 0 or more, but got {dict(epsilon)}")
    return widths


def _box_representatives(costs: NDArray[np.float64], widths: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return the mask of the rows to keep, [k]: one for each nondominated box, nearest to its best corner."""
    boxed = widths > 0
    divisor = np.where(boxed, widths, 1.0)
    boxes = np.where(boxed, np.floor(costs / divisor), costs) + 0.0  # [k, m]; + 0.0 turns -0.0 into 0.0
    distance = np.where(boxed, costs / divisor - boxes, 0.0)
    distance = np.sqrt((distance**2).sum(axis=1))  # [k], to the best corner, in box widths
    nearest_first = np.lexsort((np.arange(len(costs)), distance))
    _, firsts = np.unique(boxes[nearest_first], axis=0, return_index=True)
    representatives = nearest_first[firsts]
    kept = np.zeros(len(costs), dtype=bool)
    kept[representatives] = nondominated(boxes[representatives])
    return kept


# --- ranks ---


def rank(df: pd.DataFrame, *, maximize: Columns = (), minimize: Columns = ()) -> pd.Series[int]:
    """Return the rank of each row, Int64: 1 on the front, 2 on the front of the rest, and so on.

    Incomplete rows are null. (Nondominated sorting: Deb et al., A Fast and Elitist Multiobjective Genetic Algorithm:
    NSGA-II, 2002.)

    >>> df = pd.DataFrame({"accuracy": [0.9, 0.8, 0.7, None], "macs": [300, 100, 200, 1]})
    >>> rank(df, maximize=["accuracy"], minimize=["macs"]).tolist()
    [1, 1, 2, <NA>]
    """
    return layers(df, Objectives.of(maximize, minimize))


def layers(df: pd.DataFrame, objectives: Objectives) -> pd.Series[int]:
    """Return the rank of each row, as ``rank`` does."""
    costs, complete = objectives.costs(df)
    ranks = pd.array([pd.NA] * len(df), dtype="Int64")
    if complete.any():
        ranks[complete] = moocore.pareto_rank(costs) + 1
    return pd.Series(ranks, index=df.index, name="rank")


# --- hypervolume ---


def hypervolume(
    df: pd.DataFrame,
    *,
    maximize: Columns = (),
    minimize: Columns = (),
    reference: Reference | None = None,
) -> float:
    """Return the volume between the front and ``reference``, in the product of the objectives' units.

    Rows that are not strictly better than ``reference`` in every objective add nothing; no rows have volume 0.
    ``reference=None`` takes the worst value of each objective in ``df``: such volumes cannot be compared between
    frames. (Zitzler, Thiele: Multiobjective Optimization Using Evolutionary Algorithms, 1998.)

    Raises:
        UnknownColumnError: an objective is no column.
        ResultsError: there is no objective, or one is named twice, or ``reference`` lacks one.

    >>> df = pd.DataFrame({"accuracy": [0.9, 0.8], "macs": [300, 100]})
    >>> hypervolume(df, maximize=["accuracy"], minimize=["macs"], reference={"accuracy": 0.5, "macs": 400})
    100.0
    """
    return hypervolume_of(df, Objectives.of(maximize, minimize), reference)


def hypervolume_of(df: pd.DataFrame, objectives: Objectives, reference: Reference | None) -> float:
    """Return the hypervolume of the rows of ``df``, as ``hypervolume`` does."""
    costs, _ = objectives.costs(df)
    limits = worst(df, objectives) if reference is None else reference
    return volume(costs, objectives.vector(limits, "`reference`") * objectives.signs())


def worst(df: pd.DataFrame, objectives: Objectives) -> dict[str, float]:
    """Return the worst value of each objective over the complete rows; 0 if there are none."""
    costs, _ = objectives.costs(df)
    limits = costs.max(axis=0) * objectives.signs() if len(costs) else np.zeros(len(objectives.names))
    return dict(zip(objectives.names, limits.tolist(), strict=True))


def completed(reference: Reference, df: pd.DataFrame, objectives: Objectives) -> dict[str, float]:
    """Return ``reference`` with one value for each objective; where it has none, that is the worst value in ``df``."""
    return {name: reference.get(name, value) for name, value in worst(df, objectives).items()}


def beyond_front(df: pd.DataFrame, objectives: Objectives) -> dict[str, float]:
    """Return the point a tenth of the front's range beyond the worst values on it; 0 if there are no complete rows.

    Unlike the worst values of all rows, it does not move with rows that nobody would choose.
    """
    costs, _ = objectives.costs(df)
    front = costs[nondominated(costs)]
    if not len(front):
        return worst(df, objectives)
    limits = (front.max(axis=0) + 0.1 * np.ptp(front, axis=0)) * objectives.signs()
    return dict(zip(objectives.names, limits.tolist(), strict=True))


def volume(costs: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """Return the hypervolume of ``costs`` [k, m], all minimized, up to ``reference`` [m]."""
    costs = costs[(costs < reference).all(axis=1)]
    if not len(costs):
        return 0.0
    return float(moocore.hypervolume(costs[nondominated(costs)], ref=reference))
