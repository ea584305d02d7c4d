"""Pictures of trials: sparsity along tau, hypervolume over time, learning curves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.pareto.objectives import checked_columns, numbers
from results.plots.fronts import by_level
from results.plots.style import figure, lean, look, name_of, named, number_text, safe, scatter, title_of

ALONG_TAU = (
    "trial_key",
    "sparsity",
    "threshold",
    "threshold_mode",
    "weight_bits",
    "feature_map_bits",
    "codec",
)
"""Columns that lines along tau are drawn from."""
CURVES = 200
"""Trials whose curves a picture holds at most, evenly chosen."""
CURVE_TITLES = {"accuracy": "accuracy (share of training images)"}


def sparsity_figure(points: pd.DataFrame, *, y: str = "accuracy", by: str = "regularization") -> Any:
    """Return lines along tau: for each value of ``by`` its networks thin, and their mean bold."""
    checked_columns([y, by, "sparsity"], points)
    rows = one_precision(points[list(dict.fromkeys([y, by, *ALONG_TAU]))]).sort_values(
        ["trial_key", "threshold"], kind="stable"
    )
    shown = set(_some(rows, "trial_key")["trial_key"])
    thin, bold = [], []
    for place, (level, part) in enumerate(by_level(rows, by)):
        name = named(by, level)
        thin += _networks(part[part["trial_key"].isin(shown)], y, name, place)
        bold.append(_mean(part, y, name, place))
    return figure([*thin, *bold], "sparsity", y, showlegend=True)


def _networks(part: pd.DataFrame, y: str, name: str, place: int) -> list[Any]:
    """Return a thin line for each network of one value; none where there is only one."""
    if part["trial_key"].nunique() < 2:
        return []
    gapped = _gapped(part, ["trial_key"])
    line = {"color": look(place)["color"], "width": 1}
    return [
        scatter(
            0,
            x=lean(gapped["sparsity"]),
            y=lean(gapped[y]),
            customdata=_texts(gapped, "threshold", "trial_key"),
            mode="lines",
            connectgaps=False,
            line=line,
            opacity=0.35,
            legendgroup=name,
            showlegend=False,
            hovertemplate=f"%{{y:.4~p}} at %{{x:.1%}} zeros<br>τ %{{customdata[0]}}<br>"
            f"trial %{{customdata[1]}}<extra>{name}</extra>",
        )
    ]


def _mean(part: pd.DataFrame, y: str, name: str, place: int) -> Any:
    """Return the line through the means of one value at each tau."""
    mean = part.groupby("threshold")[list(dict.fromkeys(["sparsity", y]))].mean()
    style = look(place)
    return scatter(
        0,
        x=lean(mean["sparsity"]),
        y=lean(mean[y]),
        customdata=mean.index.to_numpy(),
        mode="lines+markers",
        name=name,
        legendgroup=name,
        line={"color": style["color"], "width": 3},
        marker={**style, "size": 9},
        hovertemplate="mean %{y:.4~p} at %{x:.1%} zeros<br>τ %{customdata}",
    )


def one_precision(points: pd.DataFrame) -> pd.DataFrame:
    """Return the points of the finest precision that was evaluated, and of its first codec and threshold mode."""
    rows = points
    for column in ("feature_map_bits", "weight_bits"):
        rows = rows[rows[column] == rows[column].max()] if len(rows) else rows
    for column in ("codec", "threshold_mode"):
        rows = rows[rows[column] == rows[column].iloc[0]] if len(rows) else rows
    return rows


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
    shown = progress[list(dict.fromkeys(["trial_key", "phase", "step", value]))]
    rows = _some(shown[np.isfinite(numbers(progress[value]))], "trial_key")
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
                    x=lean(gapped["step"]),
                    y=lean(gapped[value]),
                    customdata=_texts(gapped, "trial_key"),
                    mode="lines" if len(part) > len(part["trial_key"].unique()) else "markers",
                    connectgaps=False,
                    line={"color": look(place)["color"], "width": 1.5, "dash": dash},
                    name=f"{named(by, name)}, {phase}" if groups else phase,
                    hovertemplate="%{y:.4~g} after epoch %{x}<br>trial %{customdata[0]}",
                )
            )
    made = figure(traces, "step", value, showlegend=True)
    return made.update_yaxes(title_text=CURVE_TITLES.get(value, title_of(value)))


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
