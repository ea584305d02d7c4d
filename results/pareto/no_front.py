"""Why a front has no points, in one line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from results.pareto.constraints import Constraint, feasible
from results.pareto.objectives import to_float64


def why_no_front(points: pd.DataFrame, objectives: Iterable[str], constraints: Sequence[Constraint]) -> str:
    """Return why no point is on the front, with the point that violates the constraints least.

    >>> points = pd.DataFrame({"point": ["a-00", "b-00"], "accuracy": [0.5, 0.75], "macs": [1, 2]})
    >>> why_no_front(points, ["accuracy"], [Constraint.parse("accuracy >= 0.9")])
    'none of the 2 points satisfies accuracy >= 0.9; the nearest is b-00 with accuracy 0.75'
    """
    if points.empty:
        return "no trial has finished yet"
    if constraints and not feasible(points, constraints).any():
        violated = " and ".join(map(str, constraints))
        return f"none of the {len(points)} points satisfies {violated}{_nearest(points, constraints)}"
    return f"none of the {len(points)} points has all of {', '.join(objectives)}"


def _nearest(points: pd.DataFrame, constraints: Sequence[Constraint]) -> str:
    """Return the point with the smallest sum of violations, each as a share of its bound; empty if none is known."""
    total = np.zeros(len(points))
    for constraint in constraints:
        values = to_float64(points[constraint.column])
        excess = values - constraint.bound if constraint.at_most else constraint.bound - values
        total += np.maximum(excess, 0.0) / (abs(constraint.bound) or 1.0)
    if np.isnan(total).all():
        return ""
    row = points.iloc[int(np.nanargmin(total))]
    columns = dict.fromkeys(constraint.column for constraint in constraints)
    return f"; the nearest is {row['point']} with {', '.join(f'{name} {row[name]:.9g}' for name in columns)}"
