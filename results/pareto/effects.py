"""Effect of one factor (s, lambda, tau, ...) on each objective, with all other factors held equal.

Points are compared only within strata: groups of points that agree in all other factors. In each stratum, the mean
of the objective at a level of the factor is compared with its mean at the baseline, the factor's first level. The
effect is the average of these differences over the strata that have both levels.

The levels of a factor are its values. A numeric factor with more than ``MAX_LEVELS`` values, such as a sampled lambda,
is cut into ``BINS`` quantile bins, both as the factor and as a stratum: "equal" then means "in the same bin".
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.pareto.objectives import check_columns, to_float64

MAX_LEVELS = 8
BINS = 4
CONFIDENCE_Z = 1.959964
"""Two-sided 95 % quantile of the normal distribution."""
NO_CHANGE: list[float] = [np.nan, np.nan, np.nan, np.nan, 0]
"""Change, low, high, relative and strata of a level that shares no stratum with the baseline."""


def effect(
    df: pd.DataFrame, factor: str, *, objectives: Sequence[str], others: Sequence[str] = ()
) -> pd.DataFrame:
    """Return one row for each objective and level of ``factor``, the baseline first.

    ``others`` are the factors to hold equal. Columns:

    - the factor's level, and ``objective``;
    - ``mean`` of the objective over all points of the level;
    - ``change`` against the baseline, in the objective's unit; null if no stratum has both levels;
    - ``low``, ``high``: 95 % confidence interval of the change (normal, over strata); null for one stratum;
    - ``relative``: change / mean of the baseline in the same strata;
    - ``strata``: number of strata with both levels.

    Raises:
        UnknownColumnError: a factor or objective is no column.
        ResultsError: an objective is not numeric.

    >>> df = pd.DataFrame({"splitting": [1, 2, 1, 2], "seed": [0, 0, 1, 1], "macs": [100, 60, 120, 70]})
    >>> effect(df, "splitting", objectives=["macs"], others=["seed"])[["splitting", "change", "relative"]]
       splitting  change  relative
    0          1     0.0  0.000000
    1          2   -45.0 -0.409091
    """
    check_columns([factor, *objectives, *others], df)
    values = {name: to_float64(df[name]) for name in objectives}
    levels = levels_of(df[factor])
    strata = _strata(df, [name for name in others if name != factor])
    rows = [
        row
        for name in objectives
        for row in _changes(
            name,
            pd.DataFrame({"level": levels, "stratum": strata, "value": values[name]}),
            list(levels.cat.categories),
        )
    ]
    frame = pd.DataFrame(
        rows, columns=["level", "objective", "mean", "change", "low", "high", "relative", "strata"]
    )
    return frame.rename(columns={"level": factor})


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


def _strata(df: pd.DataFrame, others: Sequence[str]) -> NDArray[np.int64]:
    """Return the stratum number of each row, [n]. Null counts as a level."""
    strata = np.zeros(len(df), dtype=np.int64)
    for name in others:
        codes = levels_of(df[name]).cat.codes.to_numpy().astype(np.int64)
        _, strata = np.unique(np.stack([strata, codes]), axis=1, return_inverse=True)
    return strata


def _changes(name: str, table: pd.DataFrame, levels: Sequence[Hashable]) -> list[list[object]]:
    """Return the rows of one objective. ``table`` has the columns level, stratum, value."""
    table = table[np.isfinite(table["value"])]
    level_means = table.groupby("level", observed=True)["value"].mean()
    cell_means = table.groupby(["stratum", "level"], observed=True)["value"].mean()
    means = cell_means.unstack("level")  # [strata, levels]
    rows: list[list[object]] = []
    for level in levels:
        change = NO_CHANGE
        if level in means.columns and levels[0] in means.columns:
            pairs = means[list(dict.fromkeys([levels[0], level]))].dropna()
            baseline = pairs.iloc[:, 0].to_numpy()
            change = _change(pairs.iloc[:, -1].to_numpy() - baseline, baseline)
        rows.append([level, name, level_means.get(level, np.nan), *change])
    return rows


def _change(differences: NDArray[np.float64], baseline: NDArray[np.float64]) -> list[float]:
    """Return change, low, high, relative and strata from the difference and the baseline of each stratum, [strata]."""
    count = len(differences)
    if not count:
        return NO_CHANGE
    change, base = float(differences.mean()), float(baseline.mean())
    margin = CONFIDENCE_Z * float(differences.std(ddof=1)) / count**0.5 if count > 1 else np.nan
    return [change, change - margin, change + margin, change / base if base else np.nan, count]
