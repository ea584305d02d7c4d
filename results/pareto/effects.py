"""What one factor (s, lambda, tau, ...) does to each objective, everything else held equal.

Points are compared only within strata: groups that agree in every other factor. Within each stratum the mean
of the objective at a value of the factor is set against its mean at the baseline, the factor's first value;
the differences are averaged over the strata that have both. A factor with more than ``LEVELS`` different
numbers (a sampled lambda) is cut into ``BINS`` bins of as many points each, as a stratum and as the factor
alike: "equal" then means "of the same quarter".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.pareto.objectives import checked_columns, numbers

LEVELS = 8
BINS = 4
CONFIDENCE_Z = 1.959964  # 95 % of a normal distribution


def effect(
    df: pd.DataFrame, factor: str, *, objectives: Sequence[str], others: Sequence[str] = ()
) -> pd.DataFrame:
    """Return one row a value of ``factor`` and objective, the baseline first.

    ``others`` are the factors to hold equal. Columns: the factor; ``objective``; ``mean`` of all its points;
    ``change`` against the baseline within strata, in the objective's unit; ``low`` and ``high``, its 95 %
    interval (normal, over strata; null for fewer than two); ``relative``, the change as a share of the
    baseline's mean in the same strata; ``strata`` that the change was taken from: where 0, nothing comparable
    was run and the change is null. Errors: ``UnknownColumnError``, ``ResultsError`` for an objective without
    numbers.

    >>> df = pd.DataFrame({"splitting": [1, 2, 1, 2], "seed": [0, 0, 1, 1], "macs": [100, 60, 120, 70]})
    >>> effect(df, "splitting", objectives=["macs"], others=["seed"])[["splitting", "change", "relative"]]
       splitting  change  relative
    0          1     0.0  0.000000
    1          2   -45.0 -0.409091
    """
    checked_columns([factor, *objectives, *others], df)
    values = {name: numbers(df[name]) for name in objectives}
    levels = levels_of(df[factor])
    strata = _strata(df, [name for name in others if name != factor])
    order = list(levels.cat.categories)
    rows = [
        row
        for name in objectives
        for row in _changes(
            name, pd.DataFrame({"level": levels, "stratum": strata, "value": values[name]}), order
        )
    ]
    frame = pd.DataFrame(
        rows, columns=["level", "objective", "mean", "change", "low", "high", "relative", "strata"]
    )
    return frame.rename(columns={"level": factor})


def levels_of(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return the column as an ordered categorical: its values, or bins where there are too many numbers."""
    plain = (
        column.astype(column.cat.categories.dtype)
        if isinstance(column.dtype, pd.CategoricalDtype)
        else column
    )
    if pd.api.types.is_numeric_dtype(plain.dtype) and plain.nunique() > LEVELS:
        return pd.qcut(plain.astype("float64"), BINS, duplicates="drop", precision=3)
    found = sorted(plain.dropna().unique())
    return pd.Series(pd.Categorical(plain, categories=found, ordered=True), index=column.index)


def _strata(df: pd.DataFrame, others: Sequence[str]) -> NDArray[np.int64]:
    """Return the number of each row's stratum, [n]; null is a value like any other."""
    numbers_of = np.zeros(len(df), dtype=np.int64)
    for name in others:
        codes = levels_of(df[name]).cat.codes.to_numpy().astype(np.int64)
        _, numbers_of = np.unique(np.stack([numbers_of, codes]), axis=1, return_inverse=True)
    return numbers_of


def _changes(name: str, table: pd.DataFrame, order: Sequence[Any]) -> list[list[Any]]:
    """Return the rows of one objective. ``table`` has columns level, stratum, value."""
    table = table[np.isfinite(table["value"])]
    overall = table.groupby("level", observed=True)["value"].mean()
    means = (
        table.groupby(["stratum", "level"], observed=True)["value"].mean().unstack("level")
    )  # [strata, levels]
    rows = []
    for level in order:
        if level not in means.columns or order[0] not in means.columns:
            rows.append([level, name, overall.get(level, np.nan), np.nan, np.nan, np.nan, np.nan, 0])
            continue
        pairs = means[[order[0], level]].dropna() if level != order[0] else means[[level]].dropna()
        baseline = pairs.iloc[:, 0].to_numpy()
        rows.append(
            [level, name, overall[level], *_change(pairs.iloc[:, -1].to_numpy() - baseline, baseline)]
        )
    return rows


def _change(differences: NDArray[np.float64], baseline: NDArray[np.float64]) -> list[Any]:
    """Return change, low, high, relative, strata of the differences, one a stratum."""
    count = len(differences)
    if not count:
        return [np.nan, np.nan, np.nan, np.nan, 0]
    change, base = float(differences.mean()), float(baseline.mean())
    margin = CONFIDENCE_Z * float(differences.std(ddof=1)) / count**0.5 if count > 1 else np.nan
    return [change, change - margin, change + margin, change / base if base else np.nan, count]
