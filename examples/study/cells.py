"""Parts of the tables: Markdown, means over seeds with their range, and a row for each level of a factor."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from examples.study import questions

Row = Mapping[Hashable, Any]
"""A row of a data frame: its values by column."""
MEASURED = [
    "accuracy, %",
    "change, points",
    "effective macs, %",
    "zeros, %",
    "coded maps, kB",
    "memory, kB",
]
COLUMNS = ["accuracy", "effective_share", "sparsity", "feature_map_bytes", "memory_bytes"]


def along(points: pd.DataFrame, by: str, title: str, held: Sequence[str], base: object = None) -> str:
    """Return a table with a row for each level of ``by``. Changes are against ``base``; None: the lowest level."""
    return table([title, *MEASURED], level_rows(points, by, held, base))


def level_rows(points: pd.DataFrame, by: str, held: Sequence[str], base: object = None) -> list[list[str]]:
    """Return the rows of ``along``."""
    levels = sorted(points[by].unique(), key=lambda level: (level != base, *_numbers(level)))
    means = questions.over_seeds(points, [by], COLUMNS).set_index(by)
    changes = questions.against(points, by, levels[0], held, "accuracy")
    return [
        [
            f"{level:g}" if isinstance(level, float) else str(level),
            span(means.loc[level], "accuracy"),
            change(changes.loc[level]),
            f"{100 * means.loc[level, 'effective_share']:.1f}",
            f"{100 * means.loc[level, 'sparsity']:.1f}",
            thousands(means.loc[level, "feature_map_bytes"]),
            thousands(means.loc[level, "memory_bytes"]),
        ]
        for level in levels
    ]


def _numbers(level: object) -> list[float]:
    """Return the numbers in the name of a level, to sort by them; precisions from fine to coarse."""
    found = [float(number) for number in re.findall(r"[\d.]+", str(level))]
    return [-number for number in found] if " / " in str(level) else found


def span(row: Row, column: str) -> str:
    """Return a mean over seeds in percent, with the lowest and the highest seed."""
    low, high = (row[f"{column}_{end}"] for end in ("low", "high"))
    return f"{100 * row[column]:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def change(row: Row) -> str:
    """Return a mean change in percentage points, with the lowest and the highest seed."""
    mean, low, high = (100 * row[name] for name in ("mean", "low", "high"))
    return f"{mean:+.1f} ({low:+.1f} to {high:+.1f})" if low or high else "0"


def thousands(number: float) -> str:
    """Return a number in thousands.

    >>> thousands(40737.4)
    '40.7'
    """
    return f"{number / 1000:,.1f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
