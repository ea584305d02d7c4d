"""Parallel coordinates: one axis for each column, one line for each point."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.pareto.effects import MAX_LEVELS, levels_of
from results.pareto.objectives import check_columns, to_float64
from results.plots.style import (
    COLOR_SCALE,
    PALETTE,
    SCALE_SPAN,
    escape,
    is_share,
    name_of,
    number_text,
    template,
    title_of,
)

if TYPE_CHECKING:
    import plotly.graph_objects as go

MAX_LINES = 2_000
"""Most lines of the front, and about as many of the other points."""
MAX_TICKS = 1500
"""Most tick labels on an axis with text."""
AXES = ("splitting", "regularization", "threshold", "weight_bits", "feature_map_bits", "macs", "effective_macs",
        "memory_bytes", "sparsity", "accuracy")  # fmt: skip


def parallel_figure(
    points: pd.DataFrame,
    on_front: NDArray[np.bool_],
    axes: Sequence[str],
    color: str,
    log: Collection[str] = (),
) -> go.Figure:
    """Return parallel coordinates of ``points`` [n] over the columns ``axes``, coloured by ``color``.

    Points on the front (``on_front`` [n]) are always drawn, the others subsampled. Axes of columns in ``log`` are
    logarithmic, and those that span several decades.
    """
    import plotly.graph_objects as go

    check_columns([*axes, color], points)
    every_nth = np.arange(0, len(points), max(1, -(-len(points) // MAX_LINES)))
    drawn = np.union1d(np.flatnonzero(on_front)[:MAX_LINES], every_nth)
    rows = points[list(dict.fromkeys([*axes, color]))].iloc[drawn]
    values = to_float64(rows[color])
    line = {"color": values, "colorscale": list(COLOR_SCALE), "showscale": True,
            "colorbar": {"title": {"text": title_of(color), "side": "right"}, "thickness": 12}}  # fmt: skip
    if values.size and not np.isfinite(values).all():
        line = {"color": PALETTE[0]}
    made = go.Figure(go.Parcoords(dimensions=[_axis(rows[name], name in log) for name in axes], line=line))
    margin = {"l": 56, "r": 24, "t": 48, "b": 24}
    return made.update_layout(template=template(), height=440, margin=margin)


def axes_of(points: pd.DataFrame, more: Iterable[str]) -> list[str]:
    """Return the columns of the axes: those of ``more`` and ``AXES`` in which the points differ."""
    names = dict.fromkeys([*more, *AXES])
    return [name for name in names if name in points.columns and points[name].nunique() > 1]


def _axis(column: pd.Series, log: bool) -> dict[str, object]:
    """Return the plotly dimension of a column, by its kind: text, numbers over decades, or other numbers."""
    if not pd.api.types.is_numeric_dtype(column.dtype):
        axis = _text_axis(column)
    else:
        values = to_float64(column)
        values = np.where(np.isfinite(values), values, np.nan)  # infinity has no place on an axis
        positive = values[values > 0]
        if not (values < 0).any() and len(positive) and (log or positive.max() / positive.min() > SCALE_SPAN):
            axis = _log_axis(values, positive)
        else:
            axis = _linear_axis(values, str(column.name))
    return {"label": name_of(str(column.name)), **axis}


def _text_axis(column: pd.Series) -> dict[str, object]:
    levels = levels_of(column).cat
    names = list(levels.categories)[:MAX_TICKS]
    ticks = {"tickvals": list(range(len(names))), "ticktext": [*map(escape, names)]}
    return {"values": levels.codes.to_numpy(), **ticks}


def _log_axis(values: NDArray[np.float64], positive: NDArray[np.float64]) -> dict[str, object]:
    """Return a logarithmic axis with a tick for each decade; 0 lies one decade below the smallest."""
    low, high = math.floor(math.log10(positive.min())), math.ceil(math.log10(positive.max()))
    has_zero = bool((values == 0).any())
    logarithms = np.log10(np.where(values == 0, 10.0 ** (low - 1), values))
    ticks = list(range(low - has_zero, high + 1))
    names = ["0" if has_zero and tick < low else f"1e{tick}" for tick in ticks]
    return {"values": logarithms, "tickvals": ticks, "ticktext": names}


def _linear_axis(values: NDArray[np.float64], name: str) -> dict[str, object]:
    """Return a linear axis, with a tick for each value if there are few."""
    distinct = np.unique(values[np.isfinite(values)])
    if len(distinct) <= MAX_LEVELS:
        texts = [number_text(value, name) for value in distinct]
        return {"values": values, "tickvals": distinct, "ticktext": texts}
    return {"values": values, "tickformat": ".3~p" if is_share(name) else ".3~s"}
