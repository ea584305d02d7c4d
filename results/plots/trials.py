"""Figures of trials: accuracy against sparsity along tau, hypervolume over time, learning curves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.pareto.objectives import check_columns, to_float64
from results.plots.fronts import by_level
from results.plots.style import (
    escape,
    figure,
    level_label,
    marker_style,
    name_of,
    number_text,
    scatter,
    title_of,
    to_float32,
)

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from plotly.basedatatypes import BaseTraceType

SPARSITY_COLUMNS = (
    "trial_key",
    "sparsity",
    "threshold",
    "threshold_mode",
    "weight_bits",
    "feature_map_bits",
    "codec",
)
"""Columns that ``sparsity_figure`` needs besides ``y`` and ``by``."""
MAX_TRIALS = 200
"""Most trials with lines of their own, evenly sampled."""
CURVE_TITLES = {"accuracy": "accuracy (share of training images)"}


def sparsity_figure(points: pd.DataFrame, *, y: str = "accuracy", by: str = "regularization") -> go.Figure:
    """Return ``y`` against sparsity as tau grows: thin lines for networks, a bold mean for each value of ``by``."""
    check_columns([y, by, "sparsity"], points)
    rows = finest_precision(points[list(dict.fromkeys([y, by, *SPARSITY_COLUMNS]))]).sort_values(
        ["trial_key", "threshold"], kind="stable"
    )
    sampled = set(_sample_trials(rows)["trial_key"])
    thin, bold = [], []
    for index, (level, part) in enumerate(by_level(rows, by)):
        name = level_label(by, level)
        thin += _network_lines(part[part["trial_key"].isin(sampled)], y, name, index)
        bold.append(_mean_line(part, y, name, index))
    return figure([*thin, *bold], "sparsity", y, showlegend=True)


def _network_lines(part: pd.DataFrame, y: str, name: str, index: int) -> list[BaseTraceType]:
    """Return one trace with a thin line for each network; none if there is only one network."""
    if part["trial_key"].nunique() < 2:
        return []
    rows = _with_gaps(part)
    return [
        scatter(
            0,
            x=to_float32(rows["sparsity"]),
            y=to_float32(rows[y]),
            customdata=_hover_texts(rows, "threshold", "trial_key"),
            mode="lines",
            connectgaps=False,
            line={"color": marker_style(index)["color"], "width": 1},
            opacity=0.35,
            legendgroup=name,
            showlegend=False,
            hovertemplate=f"%{{y:.4~p}} at %{{x:.1%}} zeros<br>τ %{{customdata[0]}}<br>"
            f"trial %{{customdata[1]}}<extra>{name}</extra>",
        )
    ]


def _mean_line(part: pd.DataFrame, y: str, name: str, index: int) -> BaseTraceType:
    """Return the bold line through the means of the networks at each tau."""
    mean = part.groupby("threshold")[list(dict.fromkeys(["sparsity", y]))].mean()
    style = marker_style(index)
    return scatter(
        0,
        x=to_float32(mean["sparsity"]),
        y=to_float32(mean[y]),
        customdata=mean.index.to_numpy(),
        mode="lines+markers",
        name=name,
        legendgroup=name,
        line={"color": style["color"], "width": 3},
        marker={**style, "size": 9},
        hovertemplate="mean %{y:.4~p} at %{x:.1%} zeros<br>τ %{customdata}",
    )


def finest_precision(points: pd.DataFrame) -> pd.DataFrame:
    """Return the points with the most bits, and of these the points with the first codec and threshold mode."""
    rows = points
    for column in ("feature_map_bits", "weight_bits"):
        rows = rows[rows[column] == rows[column].max()] if len(rows) else rows
    for column in ("codec", "threshold_mode"):
        rows = rows[rows[column] == rows[column].iloc[0]] if len(rows) else rows
    return rows


def hypervolume_figure(history: pd.DataFrame, *, x: str = "trials") -> go.Figure:
    """Return the hypervolume, as a share of its final value, against the column ``x`` of ``history``.

    ``history`` is the result of ``Run.hypervolume_history``; each of several runs has its own line.
    """
    check_columns([x, "hypervolume"], history)
    traces = []
    runs: Iterable[tuple[object, pd.DataFrame]] = (
        history.groupby("run", observed=True) if "run" in history.columns else [("", history)]
    )
    volumes = to_float64(history["hypervolume"])
    final = float(volumes[np.isfinite(volumes)].max(initial=0.0))
    for index, (name, part) in enumerate(runs):
        traces.append(
            scatter(
                len(history),
                x=to_float64(part[x]),
                y=to_float64(part["hypervolume"]) / (final or 1.0),
                mode="lines+markers" if len(part) <= 60 else "lines",
                line={"shape": "hv", "color": marker_style(index)["color"], "width": 2},
                marker={"size": 6},
                name=escape(name),
                customdata=[number_text(value) for value in part["hypervolume"]],
                hovertemplate="%{y:.1%} of the final value: %{customdata}<br>"
                f"{name_of(x)} %{{x}}<extra></extra>",
            )
        )
    made = figure(traces, x, "hypervolume", showlegend=len(traces) > 1)
    return made.update_yaxes(rangemode="tozero")


def curves_figure(
    progress: pd.DataFrame, groups: Mapping[str, object], *, value: str = "accuracy", by: str = ""
) -> go.Figure:
    """Return the column ``value`` against the epochs of each trial: the search dotted, the training solid.

    ``groups`` maps trial keys to their values of the column ``by``, one colour for each; empty: all alike.
    """
    check_columns([value, "phase", "step"], progress)
    measured = progress.loc[
        np.isfinite(to_float64(progress[value])), list(dict.fromkeys(["trial_key", "phase", "step", value]))
    ]
    rows = _sample_trials(measured)
    traces = []
    for index, (level, group) in enumerate(_by_group(rows, groups)):
        for phase, dash in (("search", "dot"), ("train", "solid"), ("finetune", "dash")):
            part = group[group["phase"] == phase]
            if part.empty:
                continue
            line = _with_gaps(part)
            traces.append(
                scatter(
                    len(rows),
                    x=to_float32(line["step"]),
                    y=to_float32(line[value]),
                    customdata=_hover_texts(line, "trial_key"),
                    mode="lines" if len(part) > len(part["trial_key"].unique()) else "markers",
                    connectgaps=False,
                    line={"color": marker_style(index)["color"], "width": 1.5, "dash": dash},
                    name=f"{level_label(by, level)}, {phase}" if groups else phase,
                    hovertemplate="%{y:.4~g} after epoch %{x}<br>trial %{customdata[0]}",
                )
            )
    made = figure(traces, "step", value, showlegend=True)
    return made.update_yaxes(title_text=CURVE_TITLES.get(value, title_of(value)))


# --- parts of the figures ---


def _sample_trials(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of at most ``MAX_TRIALS`` trials, evenly sampled."""
    keys = rows["trial_key"].unique()
    if len(keys) <= MAX_TRIALS:
        return rows
    return rows[rows["trial_key"].isin(list(keys[:: -(-len(keys) // MAX_TRIALS)]))]


def _by_group(rows: pd.DataFrame, groups: Mapping[str, object]) -> Iterable[tuple[str, pd.DataFrame]]:
    """Return (legend name, rows) for each value of ``groups``."""
    if rows.empty or not groups:
        return [("", rows)]
    level = rows["trial_key"].astype(str).map(groups).infer_objects().rename("level")
    return by_level(rows.assign(level=level), "level")


def _with_gaps(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with an empty row after each trial, so that one trace draws a separate line for each."""
    ends = rows.groupby(["trial_key"], observed=True, sort=False).tail(1).index
    positions = np.concatenate([np.arange(len(rows)), rows.index.get_indexer(ends) + 0.5])
    return rows.reset_index(drop=True).reindex(np.sort(positions))


def _hover_texts(rows: pd.DataFrame, *columns: str) -> NDArray[np.object_]:
    """Return the values of the columns as text, [n, columns]; empty in the gaps between lines."""
    texts = np.empty((len(rows), len(columns)), dtype=object)
    for index, name in enumerate(columns):
        texts[:, index] = ["" if pd.isna(cell) else escape(cell) for cell in rows[name].tolist()]
    return texts
