"""Two sets of points against each other, by the indicators of multi-objective optimization."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import moocore
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.pareto import pareto
from results.pareto.objectives import Columns, Objectives

Matrix = NDArray[np.float64]


def compare(
    a: pd.DataFrame,
    b: pd.DataFrame,
    *,
    maximize: Columns = (),
    minimize: Columns = (),
    reference: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Return what tells ``a`` from ``b``: one row an indicator, columns ``a`` and ``b``.

    - ``points`` with all objectives, and how many of them are on the ``front`` of their own set;
    - ``hypervolume``, up to ``reference`` (None: the worst values among both sets): more is better;
    - ``epsilon_additive``: by how much, in shares of each objective's range over both fronts, a set must be
      improved to be nowhere worse than the other; below 0 it is better everywhere. Less is better;
    - ``epsilon_multiplicative``: the same as a factor on the values themselves, defined where all are positive;
    - ``coverage``: share of the other set's front that some point of this set equals or dominates.

    (Zitzler, Thiele, Laumanns, Fonseca, Grunert da Fonseca: Performance Assessment of Multiobjective
    Optimizers, 2003.) Errors: those of ``pareto_front`` and ``hypervolume``.

    >>> a = pd.DataFrame({"accuracy": [0.9, 0.8], "macs": [200, 100]})
    >>> b = pd.DataFrame({"accuracy": [0.9, 0.7], "macs": [400, 100]})
    >>> compare(a, b, maximize="accuracy", minimize="macs").loc["coverage"].tolist()
    [1.0, 0.0]
    """
    return compare_sets(a, b, Objectives.of(maximize, minimize), reference)


def compare_sets(
    a: pd.DataFrame, b: pd.DataFrame, objectives: Objectives, reference: Mapping[str, float] | None
) -> pd.DataFrame:
    """Return what tells ``a`` from ``b``, as ``compare``."""
    signs = objectives.signs()
    costs = [_complete(frame, objectives) * signs for frame in (a, b)]
    fronts = [points[pareto.nondominated(points)] for points in costs]
    worst = np.vstack(costs).max(axis=0) if any(map(len, costs)) else np.zeros(len(signs))
    limits = worst if reference is None else objectives.vector(reference, "`reference`") * signs
    scaled = _scaled(*fronts)

    def factor(x: Matrix, y: Matrix) -> float:
        return _epsilon_multiplicative(x * signs, y * signs, objectives)

    rows = {
        "points": [float(len(points)) for points in costs],
        "front": [float(len(front)) for front in fronts],
        "hypervolume": [pareto.volume(front, limits) for front in fronts],
        "epsilon_additive": _both(_epsilon_additive, *scaled),
        "epsilon_multiplicative": _both(factor, *fronts),
        "coverage": _both(_coverage, *fronts),
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["a", "b"]).rename_axis(index="indicator")


def _complete(frame: pd.DataFrame, objectives: Objectives) -> Matrix:
    values, complete = objectives.matrix(frame)
    return values[complete]


def _scaled(a: Matrix, b: Matrix) -> tuple[Matrix, Matrix]:
    """Return both with each objective scaled so that its range over both is 0..1."""
    both = np.vstack([a, b])
    if not len(both):
        return a, b
    low, spread = both.min(axis=0), np.ptp(both, axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    return (a - low) / spread, (b - low) / spread


def _both(indicator: Callable[[Matrix, Matrix], float], a: Matrix, b: Matrix) -> list[float]:
    """Return the indicator of a against b and of b against a; NaN when one of them is empty."""
    if not len(a) or not len(b):
        return [np.nan, np.nan]
    return [float(indicator(a, b)), float(indicator(b, a))]


def _epsilon_additive(a: Matrix, b: Matrix) -> float:
    return float(moocore.epsilon_additive(a, ref=b))


def _epsilon_multiplicative(a: Matrix, b: Matrix, objectives: Objectives) -> float:
    if (a <= 0).any() or (b <= 0).any():
        return np.nan
    return float(moocore.epsilon_mult(a, ref=b, maximise=list(objectives.maximize)))


def _coverage(a: Matrix, b: Matrix) -> float:
    """Return the share of ``b`` [k, m] that some row of ``a`` [n, m] weakly dominates."""
    return float(np.mean([(a <= row).all(axis=1).any() for row in b]))
