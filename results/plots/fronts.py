"""Pictures of fronts: points in the plane of two objectives, fronts group by group, attainment bands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.pareto import pareto
from results.pareto.attainment import attained_by
from results.pareto.effects import LEVELS, levels_of
from results.pareto.objectives import Objectives, checked_columns, numbers
from results.plots.hover_texts import PARAMETERS, axis_values, hover_data, hover_text
from results.plots.style import (
    GREY,
    PALETTE,
    figure,
    lean,
    level_names,
    look,
    named,
    safe,
    scale,
    scatter,
    spread_axis,
)

Mask = NDArray[np.bool_]
Look = Callable[[pd.DataFrame], list[tuple[str, dict[str, Any], pd.DataFrame]]]
"""Gives (name in the legend, marker, rows) for each colour that some rows have."""
DRAWN = 20_000
"""Points that a picture holds at most: all of the front, then every n-th of the rest."""


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
) -> Any:
    """Return the points in the plane of ``x`` and ``y``, as ``plots.plot_front``.

    ``on_front`` [n] marks the rows drawn large; ``labels`` are the names that ``command`` takes for them.
    """
    checked_columns([x, y, color], points)
    labels = points["point"] if labels is None else labels
    complete = np.asarray(np.isfinite(_plane(points, x, y)).all(axis=1), dtype=bool)
    shown = points[
        list(dict.fromkeys([x, y, color, *PARAMETERS]))
    ]  # a tenth of the columns, a tenth of the time
    frame = _thinned(shown.assign(label=labels, front=on_front).loc[complete])
    template = hover_text(x, y, command)
    traces = [_staircase(frame, x, y, directions)] if len(frame) else []
    coloring = _coloring(frame[color])
    for large in (False, True):
        part = frame[frame["front"] == large]
        traces += _dots(part, x, y, coloring, template, large=large, count=len(frame))
    return spread_axis(figure(_named_once(traces), x, y), numbers(frame[x]))


def fronts_figure(
    points: pd.DataFrame,
    directions: Mapping[str, str],
    *,
    by: str = "splitting",
    x: str = "macs",
    y: str = "accuracy",
) -> Any:
    """Return the front in the plane of ``x`` and ``y`` for each value of ``by``, as ``plots.plot_fronts``."""
    checked_columns([x, y, by], points)
    traces, shown = [], points[list(dict.fromkeys([x, y, by, "point"]))]
    for place, (level, rows) in enumerate(by_level(shown, by)):
        name = named(by, level)
        front = rows[pareto.front_mask(rows, plane(x, y, directions))].sort_values([x, y], kind="stable")
        style = look(place)
        traces.append(
            scatter(
                len(front),
                x=numbers(front[x]),
                y=numbers(front[y]),
                mode="lines+markers",
                name=name,
                line={"shape": shape(x, directions), "color": style["color"], "width": 2},
                marker={**style, "size": 8},
                customdata=np.array([safe(point) for point in front["point"]], dtype=object),
                hovertemplate=f"%{{customdata}}<br>{axis_values(x, y)}<extra>{name}</extra>",
            )
        )
    return spread_axis(figure(traces, x, y, showlegend=True), numbers(points[x]))


def attainment_figure(
    surfaces: pd.DataFrame, repetitions: int, *, x: str = "macs", y: str = "accuracy", over: str = "seed"
) -> Any:
    """Return the band between the lowest and highest level of ``surfaces``, and the median, for x less, y more.

    ``surfaces`` is what ``Run.attainment`` returns for ``maximize=y, minimize=x`` over so many ``repetitions``.
    """
    levels = sorted(surfaces["level"].unique())
    if not levels:
        return figure([], x, y)
    right = surfaces[x].max()
    curves = {level: _corners(surfaces[surfaces["level"] == level], x, y, right) for level in levels}
    traces = []
    if len(levels) > 1:
        top, low = curves[levels[0]], curves[levels[-1]]
        floor = surfaces[y].min()
        ends = np.array([[low[0, 0], floor], [top[0, 0], floor]])
        band = np.vstack([top, low[::-1], ends])
        fewest, most = attained_by(levels[0], repetitions), attained_by(levels[-1], repetitions)
        name = f"attained by {fewest} to {most} of {repetitions} {over}s"
        traces.append(
            scatter(0, x=band[:, 0], y=band[:, 1], mode="lines", fill="toself", name=name, hoverinfo="skip",
                    line={"width": 0}, fillcolor="rgba(86,180,233,0.3)")
        )  # fmt: skip
    middle = levels[len(levels) // 2]
    line = {"color": PALETTE[0], "width": 2}
    rows = surfaces[surfaces["level"] == middle]
    curve = curves[middle]
    name = f"attained by {attained_by(middle, repetitions)} of {repetitions} {over}s"
    traces.append(
        scatter(0, x=curve[:, 0], y=curve[:, 1], mode="lines", line=line, name=name,
                hovertemplate=axis_values(x, y) + "<extra></extra>")
    )  # fmt: skip
    traces.append(
        scatter(0, x=rows[x], y=rows[y], mode="markers", marker={"color": PALETTE[0], "size": 6},
                showlegend=False, hovertemplate=axis_values(x, y) + "<extra></extra>")
    )  # fmt: skip
    return spread_axis(figure(traces, x, y, showlegend=True), numbers(surfaces[x]))


# --- what the pictures are made of ---


def plane(x: str, y: str, directions: Mapping[str, str]) -> Objectives:
    """Return the objectives of the two axes, ``y`` first."""
    return Objectives.of_sweep({name: direction(name, directions) for name in (y, x)})


def direction(column: str, directions: Mapping[str, str]) -> str:
    """Return whether more is better; what the sweep does not name is a cost, accuracy and sparsity excepted."""
    return directions.get(column, "max" if column in ("accuracy", "sparsity") else "min")


def shape(x: str, directions: Mapping[str, str]) -> str:
    """Return plotly's name of the staircase that a front is, in the order of x."""
    return "vh" if direction(x, directions) == "max" else "hv"


def by_level(points: pd.DataFrame, column: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield (name, rows) for each value of a column, or each bin of one with many numbers."""
    levels = levels_of(points[column]).cat
    codes = levels.codes.to_numpy()
    for place, name in enumerate(level_names(list(levels.categories))):
        if (codes == place).any():
            yield name, points[codes == place]


def _corners(rows: pd.DataFrame, x: str, y: str, right: float) -> NDArray[np.float64]:
    """Return the staircase through a surface, [corners, 2], from its lowest x on to ``right``."""
    steps = rows.sort_values(x)[[x, y]].to_numpy(dtype=np.float64)
    before = np.stack([steps[1:, 0], steps[:-1, 1]], axis=1)
    corners = np.empty((2 * len(steps), 2))
    corners[0::2], corners[1:-1:2], corners[-1] = steps, before, (right, steps[-1, 1])
    return corners


def _plane(points: pd.DataFrame, *columns: str) -> NDArray[np.float64]:
    return np.stack([numbers(points[name]) for name in columns], axis=1)  # [n, axes]


def _thinned(frame: pd.DataFrame) -> pd.DataFrame:
    """Return all of the front and as many of the other points as a picture holds."""
    room = max(1, DRAWN - int(frame["front"].sum()))
    others = np.flatnonzero(~frame["front"].to_numpy())
    step = -(-len(others) // room)
    kept = frame["front"].to_numpy().copy()
    kept[others[:: max(1, step)]] = True
    return frame[kept]


def _staircase(frame: pd.DataFrame, x: str, y: str, directions: Mapping[str, str]) -> Any:
    best = frame[pareto.front_mask(frame, plane(x, y, directions))].sort_values([x, y], kind="stable")
    line = {"shape": shape(x, directions), "color": GREY, "width": 1.5, "dash": "dot"}
    return scatter(0, x=numbers(best[x]), y=numbers(best[y]), mode="lines", line=line, hoverinfo="skip",
                   name="front of these two")  # fmt: skip


def _dots(
    part: pd.DataFrame, x: str, y: str, look: Look, template: str, *, large: bool, count: int
) -> list[Any]:
    """Return the traces of the points on the front (``large``) or of the others, one a colour."""
    size: dict[str, Any] = (
        {"size": 11, "line": {"width": 1.5, "color": GREY}} if large else {"size": 6, "opacity": 0.6}
    )
    return [
        scatter(
            count,
            x=lean(rows[x]),
            y=lean(rows[y]),
            customdata=hover_data(rows),
            mode="markers",
            marker={**size, **marker},
            name=name,
            legendgroup=name,
            hovertemplate=template,
        )
        for name, marker, rows in look(part)
    ]


def _named_once(traces: list[Any]) -> list[Any]:
    """Let each name be in the legend once, by its last trace, in the order of their first ones."""
    names = list(dict.fromkeys(trace.name for trace in traces))
    last = {trace.name: place for place, trace in enumerate(traces)}
    for place, trace in enumerate(traces):
        trace.showlegend = bool(trace.name) and last[trace.name] == place
        trace.legendrank = 1000 + names.index(trace.name)
    return traces


def _coloring(column: pd.Series[Any]) -> Look:
    """Return what gives (name, marker, rows) for the colours of some rows: by value, or along a scale."""
    name = str(column.name)
    if pd.api.types.is_numeric_dtype(column.dtype) and column.nunique() > LEVELS:
        return lambda part: [("", scale(column, part[name]), part)] if len(part) else []
    levels = list(levels_of(column).cat.categories)
    names = level_names(levels)

    def by_value(part: pd.DataFrame) -> list[tuple[str, dict[str, Any], pd.DataFrame]]:
        found = [(place, level, part[part[name] == level]) for place, level in enumerate(levels)]
        return [(named(name, names[place]), look(place), rows) for place, _, rows in found if len(rows)]

    return by_value
