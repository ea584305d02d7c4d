"""Attainment surfaces: how reliably a front is reached over seeds, or over any other repetition."""

from __future__ import annotations

import math
from collections.abc import Sequence

import moocore
import numpy as np
import pandas as pd

from results.errors import ResultsError
from results.pareto import pareto
from results.pareto.grouping import groups
from results.pareto.objectives import Columns, Objectives, column_list

LEVELS = (0.25, 0.5, 0.75)
"""Default levels: the median front and the band of the middle half of the repetitions."""


def attainment(
    df: pd.DataFrame,
    *,
    maximize: Columns = (),
    minimize: Columns = (),
    over: Columns = "seed",
    levels: Sequence[float] = LEVELS,
) -> pd.DataFrame:
    """Return the attainment surfaces of two or three objectives: columns ``level`` and the objectives.

    The rows with one value of ``over`` are one repetition. The surface of level p consists of the best points that a
    fraction p of the repetitions attains, that is, weakly dominates. Level 0.5 is the median front; 0.25 and 0.75
    bound the middle half. (Empirical attainment function: Fonseca, Guerreiro, Lopez-Ibanez, Paquete, On the
    computation of the empirical attainment function, 2011.) Rows are sorted by level, then by objectives.

    Raises:
        UnknownColumnError: an objective or ``over`` is no column.
        ResultsError: there are not two or three objectives, or a level is not above 0 and at most 1.

    >>> df = pd.DataFrame({"seed": [0, 0, 1, 1], "accuracy": [0.9, 0.8, 0.85, 0.8], "macs": [2, 1, 3, 2]})
    >>> attainment(df, maximize="accuracy", minimize="macs", levels=[0.5, 1])
       level  accuracy  macs
    0    0.5      0.80   1.0
    1    0.5      0.90   2.0
    2    1.0      0.80   2.0
    3    1.0      0.85   3.0
    """
    return attainment_of(df, Objectives.of(maximize, minimize), over, levels)


def attained_by(level: float, repetitions: int) -> int:
    """Return the least number of repetitions that attain each point of the surface of ``level``.

    >>> attained_by(0.5, 2), attained_by(0.75, 2), attained_by(0.5, 3)
    (1, 2, 2)
    """
    return math.ceil(level * repetitions - 1e-9)  # 1e-9: 0.55 * 100 is 55.00000000000001


def attainment_of(
    df: pd.DataFrame, objectives: Objectives, over: Columns, levels: Sequence[float]
) -> pd.DataFrame:
    """Return the attainment surfaces, as ``attainment`` does."""
    if len(objectives.names) not in (2, 3):
        raise ResultsError(f"attainment needs two or three objectives, but got {', '.join(objectives.names)}")
    if wrong := [level for level in levels if not 0 < level <= 1]:
        raise ResultsError(f"a level must be above 0 and at most 1, but got {wrong[0]}")
    fronts = []  # of each repetition, [k, m]
    for _, rows in groups(df, column_list(over)):
        costs, _ = objectives.costs(df.iloc[rows])
        fronts.append(np.unique(costs[pareto.nondominated(costs)], axis=0))
    fronts = [front for front in fronts if len(front)]
    columns = ["level", *objectives.names]
    if not fronts or not len(levels):
        return pd.DataFrame(columns=columns, dtype="float64")
    repetition = np.repeat(np.arange(len(fronts)), [len(front) for front in fronts])
    percentiles = sorted({100.0 * level for level in levels})
    surfaces = np.asarray(moocore.eaf(np.vstack(fronts), repetition, percentiles=percentiles))
    surfaces[:, :-1] *= objectives.signs()
    frame = pd.DataFrame(surfaces, columns=[*objectives.names, "level"])[columns]
    frame["level"] = frame["level"] / 100
    return frame.sort_values(columns, ignore_index=True)
