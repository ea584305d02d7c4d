"""How every picture looks: one plotly template, a palette for all eyes, names and units of axes, numbers as text.

Backgrounds are transparent, and no colour is black or white, so that a picture stands on light and dark pages.
The palette is that of Okabe and Ito (Color Universal Design, 2008), its blue lighter, its yellow and black
replaced by tones that are seen on both; symbols differ as well, so that nothing is told by colour alone.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.pareto.objectives import numbers
from results.schema import POINTS, PROGRESS

PALETTE = ("#1F83C6", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8A8F98", "#A09010")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star", "x", "triangle-down")
SCALE = ((0.0, "#1F83C6"), (0.5, "#93A1A6"), (1.0, "#E08A00"))
"""Of middle brightness all along, so that both ends are seen on light and dark."""
GREY = "#8A8F98"
SPAN = 20.0
"""Values whose largest is more than this many times the smallest are shown on a logarithmic axis."""
NOT_MEASURED = "not measured"
GRID = "rgba(128,136,148,0.25)"
MANY = 1500
"""More points than this are drawn by WebGL."""

_FIELDS = {field.name: field.metadata or {} for schema in (PROGRESS, POINTS) for field in schema}
_TITLES = {
    "accuracy": "accuracy (share of test images)",
    "macs": "macs (multiply-adds per image)",
    "effective_macs": "effective macs (operand not zero, per image)",
    "memory_bytes": "memory (bytes: weights + peak feature maps)",
    "sparsity": "sparsity (share of zero features)",
    "splitting": "s (splitting)",
    "regularization": "λ (regularization)",
    "threshold": "τ (threshold)",
    "hypervolume": "hypervolume (share of the last)",
    "trials": "trials finished",
    "epochs": "epochs done by all trials",
    "wall_s": "wall time (s)",
    "step": "epoch (search, then training)",
}
_NAMES = {"splitting": "s", "regularization": "λ", "threshold": "τ"}


def title_of(column: str) -> str:
    """Return the title of an axis: the column and its unit, safe to show in a plotly text.

    >>> title_of("params"), title_of("memory_bytes")
    ('params (parameters)', 'memory (bytes: weights + peak feature maps)')
    """
    if column in _TITLES:
        return _TITLES[column]
    unit = _FIELDS.get(column, {}).get(b"unit", b"").decode()
    return safe(f"{column} ({unit})" if unit else column)


def name_of(column: str) -> str:
    """Return the short name of a column: the field's letter where it has one.

    >>> name_of("regularization"), name_of("macs")
    ('λ', 'macs')
    """
    return _NAMES.get(column, column)


def is_share(column: str) -> bool:
    """Say whether the column holds fractions from 0 to 1, shown as percentages."""
    return column == "hypervolume" or _FIELDS.get(column, {}).get(b"unit") == b"fraction"


def safe(text: object) -> str:
    """Return text that plotly shows as it is: no markup, no template field."""
    return html.escape(str(text), quote=False).replace("%{", "&#37;{")


def number_text(value: Any, column: str = "") -> str:
    """Return a number as people read it; shares as percentages.

    >>> number_text(0.98333, "accuracy"), number_text(263232), number_text(0.001), number_text(None)
    ('98.3 %', '263k', '0.001', 'not measured')
    """
    if value is None or pd.isna(value):
        return NOT_MEASURED
    if not isinstance(value, (int, float)) and not hasattr(value, "__float__"):
        return str(value)
    number = float(value)
    if not math.isfinite(number):
        return str(number)
    if is_share(column):
        return f"{100 * number:.1f} %"
    for limit, suffix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(number) >= limit:
            scaled = number / limit * (10 if suffix == "k" else 1)
            return f"{scaled:.3g}{suffix}"
    return f"{number:.4g}"


@cache
def template() -> Any:
    """Return the plotly template of all pictures."""
    import plotly.graph_objects as go

    axis = {
        "gridcolor": GRID,
        "zeroline": False,
        "linecolor": GRID,
        "ticks": "outside",
        "tickcolor": GRID,
        "automargin": True,
        "title": {"standoff": 10, "font": {"size": 12}},
    }
    layout = go.Layout(
        colorway=list(PALETTE),
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 13, "color": "#5F6670"},
        margin={"l": 56, "r": 16, "t": 16, "b": 48},
        xaxis=axis,
        yaxis=axis,
        legend={"orientation": "h", "x": 0, "y": 1.02, "xanchor": "left", "yanchor": "bottom"},
        hoverlabel={"align": "left", "font": {"family": "ui-monospace, monospace", "size": 12}},
        hovermode="closest",
    )
    return go.layout.Template(layout=layout)


def figure(traces: Sequence[Any], x: str, y: str, **layout: Any) -> Any:
    """Return a figure of ``traces`` with the axes of the columns ``x`` and ``y``."""
    import plotly.graph_objects as go

    made = go.Figure(list(traces))
    made.update_layout(template=template(), xaxis=axis_of(x), yaxis=axis_of(y), height=440, **layout)
    return made


def spread_axis(made: Any, values: NDArray[np.float64]) -> Any:
    """Let the x axis of a figure be logarithmic where ``values`` are all positive and span more than a decade."""
    known = values[np.isfinite(values)]
    if known.size and known.min() > 0 and known.max() / known.min() > SPAN:
        made.update_xaxes(
            type="log", tickformat=".3~s", dtick="D2", minor={"ticks": "outside", "tickcolor": GRID}
        )
    return made


def axis_of(column: str) -> dict[str, Any]:
    """Return the axis of a column: title with unit, ticks in a form that fits."""
    return {"title": {"text": title_of(column)}, "tickformat": ".4~p" if is_share(column) else "~s"}


def level_names(levels: Sequence[Any]) -> list[str]:
    """Return the values of a factor, or the bins of one with many numbers, as a legend names them.

    >>> level_names([0.0, 0.001]), level_names(["l1", "<b>"])
    (['0', '0.001'], ['l1', '&lt;b&gt;'])
    >>> level_names(pd.qcut([1e-6, 1e-5, 1e-4, 1e-3], 2).categories)
    ['up to 5.5e-05', 'up to 0.001']
    """
    return [_level_name(level) for level in levels]


def _level_name(level: Any) -> str:
    if isinstance(level, pd.Interval):
        return f"up to {_level_name(level.right)}"
    return f"{level:.3g}" if isinstance(level, float) else safe(level)


def named(column: str, level: str) -> str:
    """Return a column and a name of its level as a legend shows them.

    >>> named("splitting", "4"), named("regularization", "up to 0.001")
    ('s = 4', 'λ up to 0.001')
    """
    return f"{safe(name_of(column))} {level if level.startswith('up to ') else f'= {level}'}"


def scatter(count: int, **settings: Any) -> Any:
    """Return a scatter trace; by WebGL where the picture has many points (``count``)."""
    import plotly.graph_objects as go

    return (go.Scattergl if count > MANY else go.Scatter)(**settings)


def lean(column: pd.Series[Any]) -> NDArray[np.float32]:
    """Return the numbers of a column in half the bytes: seven digits are more than a picture shows."""
    return numbers(column).astype(np.float32)


def look(place: int) -> dict[str, Any]:
    """Return colour and symbol of the ``place``-th of several alternatives."""
    return {"color": PALETTE[place % len(PALETTE)], "symbol": SYMBOLS[place % len(SYMBOLS)]}


def scale(column: pd.Series[Any], values: pd.Series[Any]) -> dict[str, Any]:
    """Return a marker coloured by ``values`` along the scale of the whole ``column``; over decades by logarithm."""
    whole = column.astype("float64")
    positive = whole[whole > 0]
    if len(positive) and positive.max() / positive.min() > 100:
        floor = math.floor(math.log10(positive.min()))
        shown = values.astype("float64").clip(lower=10.0**floor).map(math.log10)
        ticks = list(range(floor, math.ceil(math.log10(positive.max())) + 1))
        bar = {"tickvals": ticks, "ticktext": [f"1e{tick}" for tick in ticks]}
        low, high = float(ticks[0]), float(ticks[-1])
    else:
        shown, bar, low, high = values.astype("float64"), {}, float(whole.min()), float(whole.max())
    title = {"text": title_of(str(column.name)), "side": "right"}
    return {
        "color": shown.to_numpy(),
        "colorscale": list(SCALE),
        "cmin": low,
        "cmax": high,
        "colorbar": {"title": title, "thickness": 12, **bar},
    }
