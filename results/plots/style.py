"""Style of all figures: plotly template, colours and symbols, axis titles with units, and number formats.

Backgrounds are transparent and no colour is near black or white, so figures are readable on light and dark pages. The
palette is that of Okabe and Ito (Color Universal Design, 2008) with a lighter blue, and with yellow and black replaced.
It can be told apart with colour vision deficiency; symbols differ as well, so colour never carries meaning alone.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, SupportsFloat

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.pareto.objectives import to_float64
from results.schema import POINTS, PROGRESS

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from plotly.basedatatypes import BaseTraceType

PALETTE = ("#1F83C6", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8A8F98", "#A09010")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star", "x", "triangle-down")
COLOR_SCALE = ((0.0, "#1F83C6"), (0.5, "#93A1A6"), (1.0, "#E08A00"))
"""Colour scale of medium brightness throughout, readable on light and dark pages."""
GREY = "#8A8F98"
GRID = "rgba(128,136,148,0.25)"
NOT_MEASURED = "not measured"
LINEAR_SPAN = 20.0
"""An axis is logarithmic if the ratio of its largest to its smallest value exceeds this."""
SCALE_SPAN = 100
"""A colour scale is logarithmic if the ratio of its largest to its smallest positive value exceeds this."""
LEAST_ROBUST = 8
"""Fewest values of which some can be called far from the others."""
FAR_OUT = 3.0
"""Interquartile ranges beyond the quartiles that an axis shows, if it would be twice as long otherwise."""
MAX_SVG_POINTS = 1500
"""Figures with more points than this are drawn with WebGL."""

_FIELDS = {field.name: field.metadata or {} for schema in (PROGRESS, POINTS) for field in schema}
_TITLES = {
    "accuracy": "accuracy (share of images)",
    "macs": "macs (multiply-adds per image)",
    "effective_macs": "effective macs (operand not zero, per image)",
    "memory_bytes": "memory (bytes: weights + peak feature maps)",
    "sparsity": "sparsity (share of zero features)",
    "splitting": "s (splitting)",
    "regularization": "λ (regularization)",
    "threshold": "τ (threshold)",
    "hypervolume": "hypervolume (share of the final value)",
    "trials": "trials finished",
    "epochs": "epochs done by all trials",
    "wall_s": "wall time (s)",
    "step": "epoch (search, then training)",
}
_NAMES = {"splitting": "s", "regularization": "λ", "threshold": "τ"}


# --- text ---


def title_of(column: str) -> str:
    """Return the axis title of a column: its name and unit, escaped for plotly.

    >>> title_of("params"), title_of("memory_bytes")
    ('params (parameters)', 'memory (bytes: weights + peak feature maps)')
    """
    if column in _TITLES:
        return _TITLES[column]
    unit = _FIELDS.get(column, {}).get(b"unit", b"").decode()
    return escape(f"{column} ({unit})" if unit else column)


def name_of(column: str) -> str:
    """Return the short name of a column: its symbol if it has one.

    >>> name_of("regularization"), name_of("macs")
    ('λ', 'macs')
    """
    return _NAMES.get(column, column)


def is_share(column: str) -> bool:
    """Whether the column holds fractions from 0 to 1, which are shown as percentages."""
    return column == "hypervolume" or _FIELDS.get(column, {}).get(b"unit") == b"fraction"


def escape(text: object) -> str:
    """Escape text for plotly: it contains no markup and no hover template field."""
    return html.escape(str(text), quote=False).replace("%{", "&#37;{")


def number_text(value: object, column: str = "") -> str:
    """Format a value for reading: three significant digits and an SI suffix, fractions as percentages.

    >>> number_text(0.98333, "accuracy"), number_text(263232), number_text(0.001), number_text(None)
    ('98.3 %', '263k', '0.001', 'not measured')
    """
    if value is None or value is pd.NA or value is pd.NaT:
        return NOT_MEASURED
    if not isinstance(value, SupportsFloat):
        return str(value)
    number = float(value)
    if math.isnan(number):
        return NOT_MEASURED
    if math.isinf(number):
        return str(number)
    if is_share(column):
        return f"{100 * number:.1f} %"
    for limit, factor, suffix in ((1e12, 1, "T"), (1e9, 1, "G"), (1e6, 1, "M"), (1e4, 10, "k")):
        if abs(number) >= limit:
            return f"{number / limit * factor:.3g}{suffix}"
    return f"{number:.4g}"


def unit_of(column: str) -> str:
    """Return the unit of a column as a reader expects it behind a number; empty if it has none.

    >>> unit_of("macs"), unit_of("memory_bytes"), unit_of("accuracy")
    ('multiply-adds', 'bytes', '')
    """
    unit = _FIELDS.get(column, {}).get(b"unit", b"").decode().partition("/")[0]
    return {"fraction": "", "macs": "multiply-adds", "feature": "", "factor": ""}.get(unit, unit)


def level_names(levels: Iterable[object]) -> list[str]:
    """Return the legend names of the levels of a factor: its values, or its bins.

    >>> level_names([0.0, 0.001]), level_names(["l1", "<b>"])
    (['0', '0.001'], ['l1', '&lt;b&gt;'])
    >>> level_names(pd.qcut([1e-6, 1e-5, 1e-4, 1e-3], 2).categories)
    ['up to 5.5e-05', 'up to 0.001']
    """
    return [_level_name(level) for level in levels]


def _level_name(level: object) -> str:
    if isinstance(level, pd.Interval):
        return f"up to {_level_name(level.right)}"
    return f"{level:.3g}" if isinstance(level, float) else escape(level)


def level_label(column: str, level_name: str) -> str:
    """Return the legend entry of one level of a column.

    >>> level_label("splitting", "4"), level_label("regularization", "up to 0.001")
    ('s = 4', 'λ up to 0.001')
    """
    relation = "" if level_name.startswith("up to ") else "= "
    return f"{escape(name_of(column))} {relation}{level_name}"


# --- figures ---


@cache
def template() -> go.layout.Template:
    """Return the plotly template of all figures."""
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


def figure(traces: Sequence[BaseTraceType], x: str, y: str, **layout: object) -> go.Figure:
    """Return a figure of ``traces`` whose axes are the columns ``x`` and ``y``."""
    import plotly.graph_objects as go

    made = go.Figure(list(traces))
    made.update_layout(template=template(), xaxis=axis_of(x), yaxis=axis_of(y), height=440, **layout)
    return made


def with_log_x(made: go.Figure, values: NDArray[np.float64]) -> go.Figure:
    """Make the x axis logarithmic if all finite ``values`` are positive and span more than ``LINEAR_SPAN``."""
    finite = values[np.isfinite(values)]
    if finite.size and finite.min() > 0 and finite.max() / finite.min() > LINEAR_SPAN:
        made.update_xaxes(
            type="log", tickformat=".3~s", dtick="D2", minor={"ticks": "outside", "tickcolor": GRID}
        )
    return made


def with_robust_y(made: go.Figure, values: NDArray[np.float64], kept: NDArray[np.float64]) -> go.Figure:
    """Let few values far from all others not flatten the y axis; a double click shows all.

    Args:
        made: the figure.
        values: on the y axis, [n].
        kept: values that the axis must show, such as those of the front.
    """
    finite = values[np.isfinite(values)]
    if finite.size < LEAST_ROBUST:
        return made
    low, middle, high = np.quantile(finite, [0.25, 0.5, 0.75])
    spread = max(high - low, 1e-3 * abs(middle))
    shown = finite[(finite >= low - FAR_OUT * spread) & (finite <= high + FAR_OUT * spread)]
    inside = np.concatenate([shown, kept[np.isfinite(kept)]])
    bottom, top = float(inside.min()), float(inside.max())
    outside = int(((finite < bottom) | (finite > top)).sum())
    if not outside or finite.max() - finite.min() < 2 * (top - bottom):
        return made
    margin = 0.06 * (top - bottom) or spread
    made.update_yaxes(range=[bottom - margin, top + margin])
    made.add_annotation(
        text=f"{outside} points are outside: double-click to see all", xref="paper", yref="paper", x=1, y=0,
        xanchor="right", yanchor="bottom", showarrow=False, font={"size": 11},
    )  # fmt: skip
    return made


def axis_of(column: str) -> dict[str, object]:
    """Return the plotly axis of a column: title with unit, tick format."""
    return {"title": {"text": title_of(column)}, "tickformat": ".4~p" if is_share(column) else "~s"}


def scatter(count: int, **settings: object) -> BaseTraceType:
    """Return a scatter trace, with WebGL if the figure has many points (``count``)."""
    import plotly.graph_objects as go

    return (go.Scattergl if count > MAX_SVG_POINTS else go.Scatter)(**settings)


def to_float32(column: pd.Series) -> NDArray[np.float32]:
    """Return a numeric column as float32, [n]: seven digits are enough for a figure, at half the size."""
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is not drawn
        return to_float64(column).astype(np.float32)


def marker_style(index: int) -> dict[str, object]:
    """Return the colour and symbol of the series with this index."""
    return {"color": PALETTE[index % len(PALETTE)], "symbol": SYMBOLS[index % len(SYMBOLS)]}


def color_scale(column: pd.Series, values: pd.Series, *, log: bool = False) -> dict[str, object]:
    """Return a plotly marker that colours ``values`` on the scale of the whole ``column``.

    The scale is logarithmic if ``log``, or if the positive values of the column span more than ``SCALE_SPAN``.
    """
    whole = column.astype("float64")
    positive = whole[whole > 0]
    if len(positive) and (log or positive.max() / positive.min() > SCALE_SPAN):
        floor = math.floor(math.log10(positive.min()))
        colors = values.astype("float64").clip(lower=10.0**floor).map(math.log10)
        ticks = list(range(floor, math.ceil(math.log10(positive.max())) + 1))
        bar: dict[str, object] = {"tickvals": ticks, "ticktext": [f"1e{tick}" for tick in ticks]}
        low, high = float(ticks[0]), float(ticks[-1])
    else:
        colors, bar, low, high = values.astype("float64"), {}, float(whole.min()), float(whole.max())
    title = {"text": title_of(str(column.name)), "side": "right"}
    return {
        "color": colors.to_numpy(),
        "colorscale": list(COLOR_SCALE),
        "cmin": low,
        "cmax": high,
        "colorbar": {"title": title, "thickness": 12, **bar},
    }
