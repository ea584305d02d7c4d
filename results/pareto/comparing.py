"""Comparison of two sets of points by quality indicators: hypervolume, epsilon indicators, coverage.

Shapes: k, l complete rows of the two sets, m objectives.
"""

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
    """Compare the sets ``a`` and ``b``: one row for each indicator, columns ``a`` and ``b``.

    - ``points``: number of complete rows; ``front``: how many of them are on the front of their own set.
    - ``hypervolume`` up to ``reference`` (None: the worst values in both sets). Larger is better.
    - ``hypervolume_near``: the same up to a point just beyond the front of both sets together. Where the two disagree,
      the reference point decides, and neither set is better.
    - ``epsilon_additive``: smallest shift of all objectives, as a fraction of their range over both fronts, after
      which the set weakly dominates the other front. Smaller is better; below 0, it is better everywhere.
    - ``epsilon_multiplicative``: the same as a factor on the objective values. Smaller is better; NaN unless all
      values are positive.
    - ``coverage``: fraction of the other front that the set weakly dominates. Larger is better.

    (Epsilon indicators and coverage: Zitzler, Thiele, Laumanns, Fonseca, Grunert da Fonseca, Performance Assessment of
    Multiobjective Optimizers, 2003.) Indicators of a pair with an empty set are NaN.

    Raises:
        UnknownColumnError: an objective is no column.
        ResultsError: the objectives or ``reference`` are not valid.

    >>> a = pd.DataFrame({"accuracy": [0.9, 0.8], "macs": [200, 100]})
    >>> b = pd.DataFrame({"accuracy": [0.9, 0.7], "macs": [400, 100]})
    >>> compare(a, b, maximize="accuracy", minimize="macs").loc["coverage"].tolist()
    [1.0, 0.0]
    """
    return compare_sets(a, b, Objectives.of(maximize, minimize), reference)


def compare_sets(
    a: pd.DataFrame, b: pd.DataFrame, objectives: Objectives, reference: Mapping[str, float] | None
) -> pd.DataFrame:
    """Compare the sets ``a`` and ``b``, as ``compare`` does."""
    signs = objectives.signs()
    costs = [objectives.costs(frame)[0] for frame in (a, b)]
    fronts = [rows[pareto.nondominated(rows)] for rows in costs]
    worst = np.vstack(costs).max(axis=0) if any(map(len, costs)) else np.zeros(len(signs))
    limits = worst if reference is None else objectives.vector(reference, "`reference`") * signs

    def epsilon_multiplicative(x: Matrix, y: Matrix) -> float:
        return _epsilon_multiplicative(x * signs, y * signs, objectives)

    together = pd.concat([a, b])
    near = objectives.vector(pareto.beyond_front(together, objectives), "reference") * signs

    rows = {
        "points": [float(len(rows)) for rows in costs],
        "front": [float(len(front)) for front in fronts],
        "hypervolume": [pareto.volume(front, limits) for front in fronts],
        "hypervolume_near": [pareto.volume(front, near) for front in fronts],
        "epsilon_additive": _both_ways(_epsilon_additive, *_normalized(*fronts)),
        "epsilon_multiplicative": _both_ways(epsilon_multiplicative, *fronts),
        "coverage": _both_ways(_coverage, *fronts),
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["a", "b"]).rename_axis(index="indicator")


def _normalized(a: Matrix, b: Matrix) -> tuple[Matrix, Matrix]:
    """Scale each objective of both sets so that its range over both is 0 to 1."""
    both = np.vstack([a, b])
    if not len(both):
        return a, b
    low, spread = both.min(axis=0), np.ptp(both, axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    return (a - low) / spread, (b - low) / spread


def _both_ways(indicator: Callable[[Matrix, Matrix], float], a: Matrix, b: Matrix) -> list[float]:
    """Return [I(a, b), I(b, a)] of a binary indicator I; NaN if a set is empty."""
    if not len(a) or not len(b):
        return [np.nan, np.nan]
    return [float(indicator(a, b)), float(indicator(b, a))]


def _epsilon_additive(a: Matrix, b: Matrix) -> float:
    return float(moocore.epsilon_additive(a, ref=b))


def _epsilon_multiplicative(a: Matrix, b: Matrix, objectives: Objectives) -> float:
    """Return the multiplicative epsilon of a against b, which are objective values, not costs."""
    if (a <= 0).any() or (b <= 0).any():
        return np.nan
    return float(moocore.epsilon_mult(a, ref=b, maximise=list(objectives.maximize)))


def _coverage(a: Matrix, b: Matrix) -> float:
    """Return the fraction of the rows of ``b`` [l, m] that some row of ``a`` [k, m] weakly dominates."""
    return float(np.mean([(a <= row).all(axis=1).any() for row in b]))
