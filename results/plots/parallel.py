"""Parallel coordinates: all dimensions of all points at once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.pareto.effects import LEVELS, levels_of
from results.pareto.objectives import checked_columns, numbers
from results.plots.style import MANY, PALETTE, SCALE, is_share, name_of, number_text, safe, template, title_of

LINES = 2_000
"""Lines that parallel coordinates hold at most."""
AXES = ("splitting", "regularization", "threshold", "weight_bits", "feature_map_bits", "macs", "effective_macs",
        "memory_bytes", "sparsity", "accuracy")  # fmt: skip


def parallel_figure(
    points: pd.DataFrame, on_front: NDArray[np.bool_], axes: Sequence[str], color: str
) -> Any:
    """Return parallel coordinates: a line for each point through its value on each of ``axes``."""
    import plotly.graph_objects as go

    checked_columns([*axes, color], points)
    chosen = np.union1d(
        np.flatnonzero(on_front)[:LINES], np.arange(0, len(points), max(1, -(-len(points) // LINES)))
    )
    rows = points[list(dict.fromkeys([*axes, color]))].iloc[chosen]
    tint = numbers(rows[color])
    line = {"color": tint, "colorscale": list(SCALE), "showscale": True,
            "colorbar": {"title": {"text": title_of(color), "side": "right"}, "thickness": 12}}  # fmt: skip
    if tint.size and not np.isfinite(tint).all():
        line = {"color": PALETTE[0]}
    made = go.Figure(go.Parcoords(dimensions=[_dimension(rows[name]) for name in axes], line=line))
    margin = {"l": 56, "r": 24, "t": 48, "b": 24}
    return made.update_layout(template=template(), height=440, margin=margin)


def axes_of(points: pd.DataFrame, more: Iterable[str]) -> list[str]:
    """Return the columns worth an axis: the usual ones and ``more``, where the points differ in them."""
    names = dict.fromkeys([*more, *AXES])
    return [name for name in names if name in points.columns and points[name].nunique() > 1]


def _dimension(column: pd.Series[Any]) -> dict[str, Any]:
    """Return an axis: text by its values, numbers over decades by logarithm with 0 one decade below."""
    label = name_of(str(column.name))
    if not pd.api.types.is_numeric_dtype(column.dtype):
        levels = list(levels_of(column).cat.categories)[:MANY]
        codes = levels_of(column).cat.codes.to_numpy()
        return {
            "label": label,
            "values": codes,
            "tickvals": list(range(len(levels))),
            "ticktext": [*map(safe, levels)],
        }
    values = numbers(column)
    positive = values[values > 0]
    if (values >= 0).all() and len(positive) and positive.max() / positive.min() > 100:
        low, high = math.floor(math.log10(positive.min())), math.ceil(math.log10(positive.max()))
        has_zero = bool((values == 0).any())
        shown = np.log10(np.where(values > 0, values, 10.0 ** (low - 1)))
        ticks = list(range(low - has_zero, high + 1))
        names = ["0" if has_zero and tick < low else f"1e{tick}" for tick in ticks]
        return {"label": label, "values": shown, "tickvals": ticks, "ticktext": names}
    found = np.unique(values[np.isfinite(values)])
    ticked = {"tickvals": found, "ticktext": [number_text(v, str(column.name)) for v in found]}
    return {
        "label": label,
        "values": values,
        **(
            ticked
            if len(found) <= LEVELS
            else {"tickformat": ".3~p" if is_share(str(column.name)) else ".3~s"}
        ),
    }
