"""Figures of fronts: all points with their front, one front for each value of a column, attainment bands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.pareto import pareto
from results.pareto.attainment import attained_by
from results.pareto.effects import MAX_LEVELS, levels_of
from results.pareto.objectives import Objectives, check_columns, to_float64
from results.plots.hover_texts import PARAMETERS, axis_lines, hover_data, hover_text
from results.plots.style import (
    GREY,
    PALETTE,
    color_scale,
    escape,
    figure,
    level_label,
    level_names,
    marker_style,
    scatter,
    to_float32,
    with_log_x,
    with_robust_y,
)

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from plotly.basedatatypes import BaseTraceType

Mask = NDArray[np.bool_]
Series = tuple[str, dict[str, object], pd.DataFrame]
"""Legend name, marker and rows of the points with one colour."""
Coloring = Callable[[pd.DataFrame], list[Series]]
"""Splits rows into series by colour."""
MAX_POINTS = 20_000
"""Most points in a figure: the whole front, then every n-th of the others."""


def front_figure(
    points: pd.DataFrame,
    on_front: Mask,
    directions: Mapping[str, str],
    *,
    x: str = "macs",
    y: str = "accuracy",
    color: str = "splitting",
    command: str = "shrinksweep export RUN {point}",
    labels: pd.Series[str] | None = None,
    log_color: bool = False,
) -> go.Figure:
    """Return a scatter figure of the columns ``x`` and ``y``, as described in ``plots.plot_front``.

    Args:
        points: n points.
        on_front: Mask of the points drawn with large markers, [n].
        directions: ``"max"`` or ``"min"`` for each objective of the sweep.
        x: Column of the horizontal axis.
        y: Column of the vertical axis.
        color: Column of the colours.
        command: Export command shown on hover, with ``{point}`` in place of the label.
        labels: Name of each point in ``command``, [n]; None takes the column ``point``.
        log_color: Whether a colour scale is logarithmic.
    """
    check_columns([x, y, color], points)
    labels = points["point"] if labels is None else labels
    measured = np.asarray(np.isfinite(_axis_values(points, x, y)).all(axis=1), dtype=bool)
    others = [name for name in directions if name not in (x, y) and name in points.columns]
    columns = list(
        dict.fromkeys([x, y, color, *PARAMETERS, *others])
    )  # copying these alone is ten times faster
    frame = _subsampled(points[columns].assign(label=labels, front=on_front).loc[measured])
    template = hover_text(x, y, command, others)
    traces = [_front_line(frame, x, y, directions)] if len(frame) else []
    coloring = _coloring(frame[color], log_color)
    for large in (False, True):
        part = frame[frame["front"] == large]
        traces += _markers(part, x, y, coloring, template, others, large=large, count=len(frame))
    made = with_log_x(figure(_with_unique_legend(traces), x, y), to_float64(frame[x]))
    return with_robust_y(made, to_float64(frame[y]), to_float64(frame.loc[frame["front"], y]))


def fronts_figure(
    points: pd.DataFrame,
    directions: Mapping[str, str],
    *,
    by: str = "splitting",
    x: str = "macs",
    y: str = "accuracy",
) -> go.Figure:
    """Return the front of the columns ``x`` and ``y`` for each value of ``by``."""
    check_columns([x, y, by], points)
    traces, columns = [], list(dict.fromkeys([x, y, by, "point"]))
    for index, (level, rows) in enumerate(by_level(points[columns], by)):
        name = level_label(by, level)
        front = _sorted_front(rows, x, y, directions)
        style = marker_style(index)
        traces.append(
            scatter(
                len(front),
                x=to_float64(front[x]),
                y=to_float64(front[y]),
                mode="lines+markers",
                name=name,
                line={"shape": line_shape(x, directions), "color": style["color"], "width": 2},
                marker={**style, "size": 8},
                customdata=np.array([escape(point) for point in front["point"]], dtype=object),
                hovertemplate=f"%{{customdata}}<br>{axis_lines(x, y)}<extra>{name}</extra>",
            )
        )
    return with_log_x(figure(traces, x, y, showlegend=True), to_float64(points[x]))


def attainment_figure(
    surfaces: pd.DataFrame, repetitions: int, *, x: str = "macs", y: str = "accuracy", over: str = "seed"
) -> go.Figure:
    """Return the surface of the middle level, and the band between the lowest and the highest level.

    ``surfaces`` is the result of ``attainment`` for ``maximize=y, minimize=x`` over this number of ``repetitions``.
    """
    levels = sorted(surfaces["level"].unique())
    if not levels:
        return figure([], x, y)
    right = surfaces[x].max()
    curves = {level: _step_corners(surfaces[surfaces["level"] == level], x, y, right) for level in levels}
    traces = []
    if len(levels) > 1:
        upper, lower = curves[levels[0]], curves[levels[-1]]
        floor = surfaces[y].min()
        ends = np.array([[lower[0, 0], floor], [upper[0, 0], floor]])
        band = np.vstack([upper, lower[::-1], ends])  # closed polygon, [corners, 2]
        fewest, most = attained_by(levels[0], repetitions), attained_by(levels[-1], repetitions)
        name = f"attained by {fewest} to {most} of {repetitions} {over}s"
        traces.append(
            scatter(0, x=band[:, 0], y=band[:, 1], mode="lines", fill="toself", name=name, hoverinfo="skip",
                    line={"width": 0}, fillcolor="rgba(86,180,233,0.3)")
        )  # fmt: skip
    middle = levels[len(levels) // 2]
    rows, curve = surfaces[surfaces["level"] == middle], curves[middle]
    name = f"attained by {attained_by(middle, repetitions)} of {repetitions} {over}s"
    template = axis_lines(x, y) + "<extra></extra>"
    traces.append(
        scatter(0, x=curve[:, 0], y=curve[:, 1], mode="lines", line={"color": PALETTE[0], "width": 2},
                name=name, hovertemplate=template)
    )  # fmt: skip
    traces.append(
        scatter(0, x=rows[x], y=rows[y], mode="markers", marker={"color": PALETTE[0], "size": 6},
                showlegend=False, hovertemplate=template)
    )  # fmt: skip
    return with_log_x(figure(traces, x, y, showlegend=True), to_float64(surfaces[x]))


# --- parts of the figures ---


def axis_objectives(x: str, y: str, directions: Mapping[str, str]) -> Objectives:
    """Return the columns of the two axes as objectives, ``y`` first."""
    return Objectives.of_sweep({name: direction(name, directions) for name in (y, x)})


def direction(column: str, directions: Mapping[str, str]) -> str:
    """Return the direction of a column: the sweep's, else max for accuracy and sparsity and min for all others."""
    return directions.get(column, "max" if column in ("accuracy", "sparsity") else "min")


def line_shape(x: str, directions: Mapping[str, str]) -> str:
    """Return plotly's line shape of the step function through a front sorted by ``x``."""
    return "vh" if direction(x, directions) == "max" else "hv"


def by_level(points: pd.DataFrame, column: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield (legend name, rows) for each value of a column, or for each bin if it has too many numbers."""
    levels = levels_of(points[column]).cat
    codes = levels.codes.to_numpy()
    for code, name in enumerate(level_names(list(levels.categories))):
        if (codes == code).any():
            yield name, points[codes == code]


def _step_corners(rows: pd.DataFrame, x: str, y: str, right: float) -> NDArray[np.float64]:
    """Return the corners of the step function through a surface, [corners, 2], extended to x = ``right``."""
    steps = rows.sort_values(x)[[x, y]].to_numpy(dtype=np.float64)
    before = np.stack([steps[1:, 0], steps[:-1, 1]], axis=1)
    corners = np.empty((2 * len(steps), 2))
    corners[0::2], corners[1:-1:2], corners[-1] = steps, before, (right, steps[-1, 1])
    return corners


def _axis_values(points: pd.DataFrame, *columns: str) -> NDArray[np.float64]:
    return np.stack([to_float64(points[name]) for name in columns], axis=1)  # [n, axes]


def _subsampled(frame: pd.DataFrame) -> pd.DataFrame:
    """Return at most about ``MAX_POINTS`` rows: the whole front, and every n-th of the others."""
    room = max(1, MAX_POINTS - int(frame["front"].sum()))
    others = np.flatnonzero(~frame["front"].to_numpy())
    step = -(-len(others) // room)  # rounded up
    mask = frame["front"].to_numpy().copy()
    mask[others[:: max(1, step)]] = True
    return frame[mask]


def _sorted_front(frame: pd.DataFrame, x: str, y: str, directions: Mapping[str, str]) -> pd.DataFrame:
    """Return the front of the two axes, sorted by ``x``."""
    mask = pareto.front_mask(frame, axis_objectives(x, y, directions))
    return frame[mask].sort_values([x, y], kind="stable")


def _front_line(frame: pd.DataFrame, x: str, y: str, directions: Mapping[str, str]) -> BaseTraceType:
    front = _sorted_front(frame, x, y, directions)
    line = {"shape": line_shape(x, directions), "color": GREY, "width": 1.5, "dash": "dot"}
    return scatter(0, x=to_float64(front[x]), y=to_float64(front[y]), mode="lines", line=line, hoverinfo="skip",
                   name="front of the two axes")  # fmt: skip


def _markers(
    part: pd.DataFrame,
    x: str,
    y: str,
    coloring: Coloring,
    template: str,
    others: Sequence[str],
    *,
    large: bool,
    count: int,
) -> list[BaseTraceType]:
    """Return the traces of the points on the front (``large``) or of the others, one for each colour."""
    size: dict[str, object] = (
        {"size": 11, "line": {"width": 1.5, "color": GREY}} if large else {"size": 6, "opacity": 0.6}
    )
    return [
        scatter(
            count,
            x=to_float32(rows[x]),
            y=to_float32(rows[y]),
            customdata=hover_data(rows, others),
            mode="markers",
            marker={**size, **marker},
            name=name,
            legendgroup=name,
            hovertemplate=template,
        )
        for name, marker, rows in coloring(part)
    ]


def _with_unique_legend(traces: list[BaseTraceType]) -> list[BaseTraceType]:
    """Show each name once in the legend: the last trace of that name, in the order of the first ones."""
    names = list(dict.fromkeys(trace.name for trace in traces))
    last = {trace.name: index for index, trace in enumerate(traces)}
    for index, trace in enumerate(traces):
        trace.showlegend = bool(trace.name) and last[trace.name] == index
        trace.legendrank = 1000 + names.index(trace.name)
    return traces


def _coloring(column: pd.Series, log: bool) -> Coloring:
    """Return how points are coloured by a column: a colour for each value, or a scale for many numbers."""
    name = str(column.name)
    if pd.api.types.is_numeric_dtype(column.dtype) and column.nunique() > MAX_LEVELS:
        return lambda part: [("", color_scale(column, part[name], log=log), part)] if len(part) else []
    levels = list(levels_of(column).cat.categories)
    labels = [level_label(name, level_name) for level_name in level_names(levels)]

    def by_value(part: pd.DataFrame) -> list[Series]:
        series = [
            (label, marker_style(index), part[part[name] == level])
            for index, (label, level) in enumerate(zip(labels, levels, strict=True))
        ]
        return [one for one in series if len(one[2])]

    return by_value
