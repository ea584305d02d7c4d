"""Tables of points, and how numbers and times are written in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pyarrow as pa
import pyarrow.compute as pc
from rich.box import SIMPLE_HEAD
from rich.table import Table

from orchestrator.status.narrow import SparingTable

HEADINGS = {
    "output_node": "output\nnode",
    "splitting": "s",
    "regularization": "lambda",
    "threshold": "tau",
    "threshold_mode": "tau\nmode",
    "weight_bits": "weight\nbits",
    "feature_map_bits": "map\nbits",
    "calibration": "calibration",
    "correction": "correction",
    "outer_bits": "outer\nbits",
    "codec": "codec",
    "seed": "seed",
}
"""Columns that are shown beside the objectives where points differ in them, with their headings."""


def front_table(front: pa.Table, objectives: Mapping[str, str], rows: int | None = None) -> Table:
    """Return the points of a front as a table, best first in the first objective; at most ``rows`` of them."""
    first = next(iter(objectives))
    order = "descending" if objectives[first] == "max" else "ascending"
    return points_table(front.sort_by([(first, order)]), objectives, rows=rows)


def points_table(
    points: pa.Table, objectives: Iterable[str], beside: Iterable[str] = (), rows: int | None = None
) -> Table:
    """Return points as a table: their names, the columns in which they differ, ``beside``, the objectives.

    Args:
        points: one row a point, with a column ``point``.
        objectives: columns on the right.
        beside: columns that are shown whether or not the points differ in them.
        rows: the most rows to show; None shows all.
    """
    points, objectives = _with_test_values(points, list(objectives))
    differing = [n for n in HEADINGS if n not in objectives and len(points[n].unique()) > 1]
    columns = list(
        dict.fromkeys(["point", *differing, *(n for n in beside if n not in objectives), *objectives])
    )
    table = SparingTable(
        title=f"front: {points.num_rows} points",
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.spare = [_shown(name) for name in reversed(columns[1:]) if name not in objectives]
    for name in columns:
        kind = points.schema.field(name).type
        is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
        table.add_column(_shown(name), justify="right" if is_number else "left", no_wrap=True)
    for row in points.select(columns).slice(0, rows).to_pylist():
        row["point"] = short_point(row["point"])
        table.add_row(*(format_cell(row[name]) for name in columns))
    return table


def _with_test_values(points: pa.Table, objectives: list[str]) -> tuple[pa.Table, list[str]]:
    """Add the test value beside each objective that is measured on the validation images, and the gap of accuracy."""
    shown: list[str] = []
    for name in objectives:
        shown.append(name)
        test = f"test_{name}"
        if test in points.column_names and points[test].null_count < points.num_rows:
            shown.append(test)
            if name == "accuracy" and "gap" not in points.column_names:
                points = points.append_column("gap", pc.subtract(points[name], points[test]))
            if name == "accuracy":
                shown.append("gap")
    return points, list(dict.fromkeys(shown))


def short_point(point: str) -> str:
    """Return the short name of a point, which every command accepts like the full name.

    >>> short_point("342695f80345bbe6-08")
    '342695f8-08'
    """
    key, _, rung = point.partition("-")
    return f"{key[:8]}-{rung}"


def _shown(column: str) -> str:
    return HEADINGS.get(column) or _heading(column)


def _heading(column: str) -> str:
    """Return a column's name in short lines, broken after underscores."""
    lines = [""]
    for part in column.replace("_", "_ ").split():
        if lines[-1] and len(lines[-1] + part) > 9:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def format_cell(value: object) -> str:
    """Return a value as a table shows it.

    >>> format_cell(0.98333333), format_cell(1234567), format_cell(1e-5), format_cell(None)
    ('0.9833', '1,234,567', '1e-05', '-')
    """
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
