"""Pictures of trials: sparsity along tau, hypervolume over time, learning curves, parallel coordinates."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.effects import LEVELS, levels_of
from results.objectives import checked_columns, numbers
from results.plot_fronts import by_level
from results.plot_style import (
    MANY,
    PALETTE,
    SCALE,
    figure,
    is_share,
    look,
    name_of,
    number_text,
    safe,
    scatter,
    template,
    title_of,
)

CURVES = 200
"""Trials whose curves a picture holds at most, evenly chosen."""
LINES = 5_000
"""Lines that parallel coordinates hold at most."""
CURVE_TITLES = {"accuracy": "accuracy (share of training images)"}
AXES = ("splitting", "regularization", "threshold", "weight_bits", "feature_map_bits", "macs", "effective_macs",
        "memory_bytes", "sparsity", "accuracy")  # fmt: skip


def sparsity_figure(points: pd.DataFrame, *, y: str = "accuracy", by: str = "regularization") -> Any:
    """Return a line along tau for each trained network, coloured by ``by``, as ``plots.plot_sparsity``."""
    checked_columns([y, by, "sparsity"], points)
    rows = one_precision(points).sort_values(["trial_key", "threshold"], kind="stable")
    rows = _some(rows, "trial_key")
    traces = []
    for place, (level, part) in enumerate(by_level(rows, by)):
        style = look(place)
        gapped = _gapped(part, ["trial_key"])
        traces.append(
            scatter(
                len(rows),
                x=_lean(gapped["sparsity"]),
                y=_lean(gapped[y]),
                customdata=_texts(gapped, "threshold", "trial_key"),
                mode="lines+markers",
                connectgaps=False,
                name=f"{name_of(by)} = {level}",
                line={"color": style["color"], "width": 1.5},
                marker={**style, "size": 6},
                hovertemplate="%{y:.2%} at %{x:.1%} zeros<br>τ %{customdata[0]}<br>trial %{customdata[1]}",
            )
        )
    return figure(traces, "sparsity", y, showlegend=True)


def one_precision(points: pd.DataFrame) -> pd.DataFrame:
    """Return the points of the finest precision that was evaluated, and of its first codec."""
    rows = points
    for column in ("feature_map_bits", "weight_bits"):
        rows = rows[rows[column] == rows[column].max()] if len(rows) else rows
    return rows[rows["codec"] == rows["codec"].iloc[0]] if len(rows) else rows


def hypervolume_figure(history: pd.DataFrame, *, x: str = "trials") -> Any:
    """Return how the hypervolume grew against ``x``, as a share of the last; ``history`` as of the run."""
    checked_columns([x, "hypervolume"], history)
    traces = []
    parts: Iterable[tuple[Any, pd.DataFrame]] = (
        history.groupby("run", observed=True) if "run" in history.columns else [("", history)]
    )
    last = float(history["hypervolume"].max()) if len(history) else 0.0
    for place, (name, part) in enumerate(parts):
        style = look(place)
        traces.append(
            scatter(
                len(history),
                x=numbers(part[x]),
                y=numbers(part["hypervolume"]) / (last or 1.0),
                mode="lines+markers" if len(part) <= 60 else "lines",
                line={"shape": "hv", "color": style["color"], "width": 2},
                marker={"size": 6},
                name=safe(name),
                customdata=[number_text(value) for value in part["hypervolume"]],
                hovertemplate=f"%{{y:.1%}} of the last: %{{customdata}}<br>{name_of(x)} %{{x}}<extra></extra>",
            )
        )
    made = figure(traces, x, "hypervolume", showlegend=len(traces) > 1)
    return made.update_yaxes(rangemode="tozero")


def curves_figure(
    progress: pd.DataFrame, groups: Mapping[str, Any], *, value: str = "accuracy", by: str = ""
) -> Any:
    """Return a curve over the epochs of each trial; the search is dotted, the training drawn through.

    ``groups`` gives the value of the column ``by`` for each trial's key; without any, all trials look alike.
    """
    checked_columns([value, "phase", "step"], progress)
    rows = _some(progress[np.isfinite(numbers(progress[value]))], "trial_key")
    traces = []
    for place, (name, own) in enumerate(_leveled(rows, groups)):
        for phase, dash in (("search", "dot"), ("train", "solid")):
            part = own[own["phase"] == phase]
            if part.empty:
                continue
            gapped = _gapped(part, ["trial_key"])
            traces.append(
                scatter(
                    len(rows),
                    x=_lean(gapped["step"]),
                    y=_lean(gapped[value]),
                    customdata=_texts(gapped, "trial_key"),
                    mode="lines" if len(part) > len(part["trial_key"].unique()) else "markers",
                    connectgaps=False,
                    line={"color": look(place)["color"], "width": 1.5, "dash": dash},
                    name=f"{name_of(by)} = {name}, {phase}" if groups else phase,
                    hovertemplate="%{y:.4~g} after epoch %{x}<br>trial %{customdata[0]}",
                )
            )
    made = figure(traces, "step", value, showlegend=True)
    return made.update_yaxes(title_text=CURVE_TITLES.get(value, title_of(value)))


def parallel_figure(
    points: pd.DataFrame, on_front: NDArray[np.bool_], axes: Sequence[str], color: str
) -> Any:
    """Return parallel coordinates: a line for each point through its value on each of ``axes``."""
    import plotly.graph_objects as go

    checked_columns([*axes, color], points)
    chosen = np.union1d(
        np.flatnonzero(on_front)[:LINES], np.arange(0, len(points), max(1, -(-len(points) // LINES)))
    )
    rows = points.iloc[chosen]
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


# --- what the pictures are made of ---


def _some(rows: pd.DataFrame, key: str) -> pd.DataFrame:
    """Return the rows of at most ``CURVES`` trials, evenly chosen."""
    keys = rows[key].unique()
    if len(keys) <= CURVES:
        return rows
    return rows[rows[key].isin(list(keys[:: -(-len(keys) // CURVES)]))]


def _leveled(rows: pd.DataFrame, groups: Mapping[str, Any]) -> Iterable[tuple[str, pd.DataFrame]]:
    if rows.empty or not groups:
        return [("", rows)]
    level = rows["trial_key"].astype(str).map(groups).infer_objects().rename("level")
    return by_level(rows.assign(level=level), "level")


def _gapped(rows: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return the rows with an empty one behind each trial, so that one trace draws many lines."""
    ends = rows.groupby(keys, observed=True, sort=False).tail(1).index
    places = np.concatenate([np.arange(len(rows)), rows.index.get_indexer(ends) + 0.5])
    return rows.reset_index(drop=True).reindex(np.sort(places))


def _texts(rows: pd.DataFrame, *columns: str) -> NDArray[np.object_]:
    """Return texts for a hover, [n, columns]; empty where a line ends."""
    texts = np.empty((len(rows), len(columns)), dtype=object)
    for place, name in enumerate(columns):
        texts[:, place] = ["" if pd.isna(cell) else safe(cell) for cell in rows[name].tolist()]
    return texts


def _lean(column: pd.Series[Any]) -> NDArray[np.float32]:
    return numbers(column).astype(np.float32)  # seven digits are more than a picture shows


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
