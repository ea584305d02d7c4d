"""Effect of one factor (s, lambda, tau, ...) on each objective, with all other factors held equal.

Points are compared only within strata: groups of points that agree in all other factors. In each stratum, the mean
of the objective at a level of the factor is compared with its mean at the baseline, the factor's first level.

Strata are not independent: the rungs of one network share its weights, and networks of one seed share initial weights,
order of the images and often the search. So the differences are averaged within clusters, which are independent, and
then over the clusters. The confidence interval is that of the cluster means, by Student's t. (As in Cameron, Miller: A
Practitioner's Guide to Cluster-Robust Inference, 2015, section VI, with few clusters.)

The levels of a factor are its values. A numeric factor with more than ``MAX_LEVELS`` values, such as a sampled lambda,
is cut into ``BINS`` quantile bins, both as the factor and as a stratum: "equal" then means "in the same bin".
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.pareto.objectives import check_columns, to_float64

MAX_LEVELS = 8
BINS = 4
CONFIDENCE = 0.95
NO_CHANGE: list[float] = [np.nan, np.nan, np.nan, np.nan, 0, 0]
"""Change, low, high, relative, strata and clusters of a level that shares no stratum with the baseline."""

Codes = NDArray[np.int64]


def effect(
    df: pd.DataFrame,
    factor: str,
    *,
    objectives: Sequence[str],
    others: Sequence[str] = (),
    clusters: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return one row for each objective and level of ``factor``, the baseline first.

    ``others`` are the factors to hold equal. ``clusters`` are columns: rows that agree in all of them are one cluster.
    None takes the seed if there are several, else every stratum is a cluster of its own. Columns:

    - the factor's level, and ``objective``;
    - ``mean`` of the objective over all points of the level;
    - ``change`` against the baseline, in the objective's unit; null if no stratum has both levels;
    - ``low``, ``high``: 95 % confidence interval of the change (Student's t, over clusters); null for one cluster;
    - ``relative``: change / mean of the baseline in the same strata;
    - ``strata``, ``clusters``: number of strata with both levels, and of clusters that they belong to.

    Raises:
        UnknownColumnError: a factor, cluster or objective is no column.
        ResultsError: an objective is not numeric.

    >>> df = pd.DataFrame({"splitting": [1, 2, 1, 2], "seed": [0, 0, 1, 1], "macs": [100, 60, 120, 70]})
    >>> effect(df, "splitting", objectives=["macs"], others=["seed"])[["splitting", "change", "relative"]]
       splitting  change  relative
    0          1     0.0  0.000000
    1          2   -45.0 -0.409091
    """
    if clusters is None:
        clusters = ["seed"] if factor != "seed" and "seed" in df and df["seed"].nunique() > 1 else others
    check_columns([factor, *objectives, *others, *clusters], df)
    values = {name: to_float64(df[name]) for name in objectives}
    levels = levels_of(df[factor])
    cluster = _numbered([_units_of(df[name]) for name in clusters], len(df))
    equal = [levels_of(df[name]) for name in others if name not in (factor, *clusters)]
    stratum = _numbered([*equal, pd.Series(pd.Categorical(cluster))], len(df))
    level = levels.cat.codes.to_numpy().astype(np.int64)
    names = list(levels.cat.categories)
    rows = [
        [label, name, *row]
        for name in objectives
        for label, row in zip(names, _changes(values[name], level, stratum, cluster, len(names)), strict=True)
    ]
    measured = ["mean", "change", "low", "high", "relative", "strata", "clusters"]
    return pd.DataFrame(rows, columns=["level", "objective", *measured]).rename(columns={"level": factor})


def levels_of(column: pd.Series) -> pd.Series:
    """Return the column as an ordered categorical of its values, or of bins if it has too many numbers."""
    plain = (
        column.astype(column.cat.categories.dtype)
        if isinstance(column.dtype, pd.CategoricalDtype)
        else column
    )
    if pd.api.types.is_numeric_dtype(plain.dtype) and plain.nunique() > MAX_LEVELS:
        return pd.qcut(plain.astype("float64"), BINS, duplicates="drop", precision=3)
    values = sorted(plain.dropna().unique())
    return pd.Series(pd.Categorical(plain, categories=values, ordered=True), index=column.index)


def _units_of(column: pd.Series) -> pd.Series:
    """Return a column of clusters as a categorical: seeds are never cut into bins, a sampled lambda is."""
    return levels_of(column) if pd.api.types.is_float_dtype(column.dtype) else column.astype("category")


def _numbered(columns: Sequence[pd.Series], rows: int) -> Codes:
    """Number the combinations of values of several categorical columns: [n], from 0. Null counts as a value."""
    numbers = np.zeros(rows, dtype=np.int64)
    for column in columns:
        codes = column.cat.codes.to_numpy().astype(np.int64)
        _, numbers = np.unique(np.stack([numbers, codes]), axis=1, return_inverse=True)
    return numbers


def _changes(
    values: NDArray[np.float64], level: Codes, stratum: Codes, cluster: Codes, levels: int
) -> list[list[float]]:
    """Return the measured columns of one objective, a row for each level. All arguments are [n]."""
    known = np.isfinite(values) & (level >= 0)
    values, level, stratum = values[known], level[known], stratum[known]
    strata = int(stratum.max(initial=-1)) + 1
    cluster_of = np.zeros(strata, dtype=np.int64)
    cluster_of[stratum] = cluster[known]
    cell = stratum * levels + level
    counts = np.bincount(cell, minlength=strata * levels).reshape(strata, levels)
    sums = np.bincount(cell, values, strata * levels).reshape(strata, levels)
    with np.errstate(invalid="ignore", divide="ignore"):
        level_means = sums.sum(0) / counts.sum(0)
        means = sums / counts
    rows = []
    for index in range(levels):
        both = (counts[:, 0] > 0) & (counts[:, index] > 0)
        change = _change(means[both, index] - means[both, 0], means[both, 0], cluster_of[both])
        rows.append([float(level_means[index]), *change])
    return rows


def _change(differences: NDArray[np.float64], baseline: NDArray[np.float64], cluster: Codes) -> list[float]:
    """Return change, low, high, relative, strata and clusters from the values of each stratum, [strata]."""
    if not len(differences):
        return NO_CHANGE
    changes, bases = _means_by(cluster, differences), _means_by(cluster, baseline)
    count, change, base = len(changes), float(changes.mean()), float(bases.mean())
    margin = _quantile(count - 1) * float(changes.std(ddof=1)) / count**0.5 if count > 1 else np.nan
    relative = change / base if base else np.nan
    return [change, change - margin, change + margin, relative, len(differences), count]


def _means_by(cluster: Codes, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of the values of each cluster, [clusters]."""
    counts = np.bincount(cluster)
    return np.bincount(cluster, values)[counts > 0] / counts[counts > 0]


@lru_cache
def _quantile(freedom: int) -> float:
    """Return the two-sided quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + CONFIDENCE) / 2))
