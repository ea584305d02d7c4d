"""The sections about trials and what they ran through, each picture with its alternative in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from results.pareto.history import hypervolume_history
from results.pareto.objectives import Objectives
from results.plots.fronts import by_level
from results.plots.parallel import axes_of, parallel_figure
from results.plots.plots import one_key
from results.plots.style import name_of, named, number_text, title_of
from results.plots.trials import curves_figure, hypervolume_figure, one_precision, sparsity_figure
from results.report.elements import nothing
from results.report.material import Material
from results.report.page import Control, Picture, Section
from results.report.pictures import NO_POINTS
from results.schema import column_of_path

CURVES = ("accuracy", "validation_accuracy", "loss", "validation_loss", "regularization_term", "alpha_entropy",
          "skip_share", "expected_macs", "images_per_s")  # fmt: skip


def sparsity_section(material: Material) -> Section:
    """Return sparsity against accuracy along tau, for each lambda."""
    title = "Sparsity along τ for each λ"
    if material.points.empty:
        return Section("sparsity", title, [nothing(NO_POINTS)])
    picture = Picture(
        name="sparsity",
        label="Lines: accuracy against the sparsity of feature maps along the threshold, for each lambda",
        caption=_sparsity_words(material),
        figures={"": sparsity_figure(one_key(material.points))},
    )
    return Section("sparsity", title, pictures=[picture])


def hypervolume_section(material: Material) -> Section:
    """Return how the hypervolume grew."""
    title = "Hypervolume over time"
    if material.points.empty:
        return Section("hypervolume", title, [nothing(NO_POINTS)])
    history = material.run.hypervolume_history() if material.run.names else _history(material)
    scales = ("trials", "epochs", "wall_s")
    picture = Picture(
        name="hypervolume",
        label="Staircase of the hypervolume as trials finish",
        caption=_growth_words(history, material),
        figures={x: hypervolume_figure(history, x=x) for x in scales},
        controls=[Control("against", [(x, title_of(x)) for x in scales])],
    )
    return Section("hypervolume", title, pictures=[picture])


def parallel_section(material: Material) -> Section:
    """Return parallel coordinates of all points."""
    title, points = "All dimensions at once", material.points
    axes = axes_of(points, map(column_of_path, material.run.swept()))
    if points.empty or not axes:
        words = NO_POINTS if points.empty else "All points are alike in every dimension."
        return Section("parallel", title, [nothing(words)])
    colors = list(dict.fromkeys([material.quality, *(name for name in material.directions if name in axes)]))
    ranges = [_range_words(points[name]) for name in axes]
    picture = Picture(
        name="parallel",
        label="Parallel coordinates: a line for each point through its value on each axis",
        caption=f"Drag along an axis to keep only the lines that pass there. Axes: {'; '.join(ranges)}.",
        figures={color: parallel_figure(points, material.on_front, axes, color) for color in colors},
        controls=[Control("colour", [(name, name_of(name)) for name in colors])],
        wide=True,
    )
    return Section("parallel", title, pictures=[picture])


def curves_section(material: Material) -> Section:
    """Return the learning curves of all trials."""
    title, progress = "Learning curves", one_key(material.progress)
    values = [name for name in CURVES if len(progress) and progress[name].notna().any()]
    if not values:
        return Section("curves", title, [nothing("No trial has finished an epoch yet.")])
    trials = one_key(material.trials)
    swept = [name for name in map(column_of_path, material.run.swept()) if name in trials.columns]
    figures = {}
    for by in swept or [""]:
        groups = dict(zip(trials["trial_key"], trials[by], strict=True)) if by else {}
        for value in values:
            figures[f"{value}|{by}" if swept else value] = curves_figure(progress, groups, value=value, by=by)
    controls = [Control("show", [(name, name.replace("_", " ")) for name in values])]
    controls += [Control("colour", [(name, name_of(name)) for name in swept])] if swept else []
    last = progress.groupby("trial_key", observed=True).tail(1)
    spread = (
        number_text(last["accuracy"].min(), "accuracy"),
        number_text(last["accuracy"].max(), "accuracy"),
    )
    picture = Picture(
        name="curves",
        label="Curves over the epochs of each trial, first search, then training",
        caption=(
            f"{last['trial_key'].nunique()} trials, {len(progress)} epochs in all; dotted in the search, drawn through "
            f"in the training. Accuracy on the training images in the last epochs: {spread[0]} to {spread[1]}."
        ),
        figures=figures,
        controls=controls,
    )
    return Section("curves", title, pictures=[picture])


def _history(material: Material) -> pd.DataFrame:
    return hypervolume_history(material.points, material.progress, Objectives.of_sweep(material.directions))


def _growth_words(history: pd.DataFrame, material: Material) -> str:
    final = history["hypervolume"].max()
    words = f"Of {', '.join(material.directions)}, up to the worst value of each"
    if not final > 0:
        return f"{words}: 0, as all points share the worst value of an objective."
    first = history[history["hypervolume"] >= 0.99 * final].iloc[0]
    return (
        f"{words}: {number_text(final)} in the end; 99 % of it after {first['trials']} of {len(history)} trials, "
        f"{first['epochs']} epochs and {number_text(first['wall_s'])} s."
    )


def _sparsity_words(material: Material) -> str:
    rows = one_precision(material.points)
    first = rows.iloc[0]
    words = [
        "A thin line is a trained network, a bold one the mean of its λ; along them τ grows. "
        f"Weights of {first['weight_bits']} bits, feature maps of {first['feature_map_bits']} bits."
    ]
    for level, part in by_level(rows, "regularization"):
        ends = part.groupby("threshold")[["sparsity", "accuracy"]].mean().iloc[[0, -1]]
        low, high = (
            f"{number_text(zeros, 'sparsity')} zeros and accuracy {number_text(right, 'accuracy')} at τ = {tau:g}"
            for tau, zeros, right in ends.itertuples()
        )
        span = low if low == high else f"from {low} to {high}"
        words.append(f"{named('regularization', level)}: {span}.")
    return " ".join(words)


def _range_words(column: pd.Series[Any]) -> str:
    name = str(column.name)
    if not pd.api.types.is_numeric_dtype(column.dtype):
        return f"{name_of(name)} ({column.nunique()} values)"
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    return f"{name_of(name)} {number_text(np.nanmin(values), name)} to {number_text(np.nanmax(values), name)}"
