"""The sections about trials and their course. Every picture has a caption that says the same in words."""

from __future__ import annotations

import numpy as np
import pandas as pd

from results.pareto.history import hypervolume_history
from results.pareto.objectives import Objectives
from results.plots.fronts import by_level
from results.plots.parallel import axes_of, parallel_figure
from results.plots.plots import with_unique_keys
from results.plots.style import level_label, name_of, number_text, title_of
from results.plots.trials import curves_figure, finest_precision, hypervolume_figure, sparsity_figure
from results.report.elements import placeholder
from results.report.material import Material
from results.report.page import Control, Picture, Section
from results.schema import column_of_path

CURVES = ("accuracy", "validation_accuracy", "loss", "validation_loss", "regularization_term", "alpha_entropy",
          "skip_share", "expected_macs", "images_per_s")  # fmt: skip
"""Columns of the progress that have learning curves."""


def sparsity_section(material: Material) -> Section:
    """Return the section with accuracy against sparsity along tau, for each lambda."""
    title = "Accuracy and sparsity along τ, for each λ"
    if material.points.empty:
        return Section("sparsity", title, [placeholder(material.no_points)])
    picture = Picture(
        name="sparsity",
        label="Line plot of accuracy against the sparsity of feature maps along the threshold tau, for each lambda",
        caption=_sparsity_words(material),
        figures={"": sparsity_figure(with_unique_keys(material.points))},
    )
    return Section("sparsity", title, pictures=[picture])


def hypervolume_section(material: Material) -> Section:
    """Return the section with the hypervolume against trials, epochs and wall time."""
    title = "Hypervolume over time"
    if material.points.empty:
        return Section("hypervolume", title, [placeholder(material.no_points)])
    history = material.run.hypervolume_history() if material.run.names else _history(material)
    scales = ("trials", "epochs", "wall_s")
    picture = Picture(
        name="hypervolume",
        label="Step plot of the hypervolume as trials finish",
        caption=_hypervolume_words(history, material),
        figures={x: hypervolume_figure(history, x=x) for x in scales},
        controls=[Control("x axis", [(x, title_of(x)) for x in scales])],
    )
    return Section("hypervolume", title, pictures=[picture])


def parallel_section(material: Material) -> Section:
    """Return the section with parallel coordinates of all points."""
    title, points = "Parallel coordinates", material.points
    axes = axes_of(points, map(column_of_path, material.run.swept()))
    if points.empty or not axes:
        words = material.no_points if points.empty else "All points have the same values in all columns."
        return Section("parallel", title, [placeholder(words)])
    colors = list(dict.fromkeys([material.quality, *(name for name in material.directions if name in axes)]))
    log = material.run.swept_on_log_scale()
    ranges = [_range_words(points[name]) for name in axes]
    picture = Picture(
        name="parallel",
        label="Parallel coordinates: one line for each point through its value on each axis",
        caption=f"One line for each point. Drag along an axis to select a range of lines. Axes: {'; '.join(ranges)}.",
        figures={color: parallel_figure(points, material.on_front, axes, color, log) for color in colors},
        controls=[Control("colour", [(name, name_of(name)) for name in colors])],
        wide=True,
    )
    return Section("parallel", title, pictures=[picture])


def curves_section(material: Material) -> Section:
    """Return the section with the learning curves of all trials."""
    title, progress = "Learning curves", with_unique_keys(material.progress)
    values = [name for name in CURVES if len(progress) and progress[name].notna().any()]
    if not values:
        begun = (
            "The run holds no epochs of its trials."
            if len(material.points)
            else "No trial has finished an epoch yet."
        )
        return Section("curves", title, [placeholder(begun)])
    trials = with_unique_keys(material.trials)
    swept = [name for name in map(column_of_path, material.run.swept()) if name in trials.columns]
    figures = {}
    for by in swept or [""]:
        groups = dict(zip(trials["trial_key"], trials[by], strict=True)) if by else {}
        for value in values:
            figures[f"{value}|{by}" if swept else value] = curves_figure(progress, groups, value=value, by=by)
    controls = [Control("y axis", [(name, name.replace("_", " ")) for name in values])]
    controls += [Control("colour", [(name, name_of(name)) for name in swept])] if swept else []
    last = progress.groupby("trial_key", observed=True).tail(1)
    lowest, highest = (
        number_text(value, "accuracy") for value in (last["accuracy"].min(), last["accuracy"].max())
    )
    picture = Picture(
        name="curves",
        label="Learning curves of all trials against epochs, first search, then training",
        caption=(
            f"{last['trial_key'].nunique()} trials with {len(progress)} epochs in total. Dotted: search; solid: "
            f"training. Training accuracy of the trials at their last epoch: {lowest} to {highest}."
        ),
        figures=figures,
        controls=controls,
    )
    return Section("curves", title, pictures=[picture])


def _history(material: Material) -> pd.DataFrame:
    return hypervolume_history(material.points, material.progress, Objectives.of_sweep(material.directions))


def _hypervolume_words(history: pd.DataFrame, material: Material) -> str:
    """Return the final hypervolume, and when 99 % of it was reached, in words."""
    final = history["hypervolume"].max()
    words = f"Hypervolume of {', '.join(material.directions)}, with the worst value of each as the reference"
    if not final > 0:
        return f"{words}: 0, because all points share the worst value of an objective."
    first = history[history["hypervolume"] >= 0.99 * final].iloc[0]
    return (
        f"{words}: {number_text(final)} at the end. 99 % of that was reached after {first['trials']} of {len(history)} "
        f"trials, {first['epochs']} epochs and {number_text(first['wall_s'])} s."
    )


def _sparsity_words(material: Material) -> str:
    """Return the two ends of each mean line in words."""
    rows = finest_precision(material.points)
    first = rows.iloc[0]
    words = [
        "Thin lines: trained networks. Bold lines: the mean over the networks with one λ. τ increases along each line. "
        f"Weights have {first['weight_bits']} bits, feature maps {first['feature_map_bits']} bits. Means:"
    ]
    for level, part in by_level(rows, "regularization"):
        ends = part.groupby("threshold")[["sparsity", "accuracy"]].mean().iloc[[0, -1]]
        low, high = (
            f"sparsity {number_text(sparsity, 'sparsity')} and accuracy {number_text(accuracy, 'accuracy')} "
            f"at τ = {tau:g}"
            for tau, sparsity, accuracy in ends.itertuples()
        )
        span = low if low == high else f"from {low} to {high}"
        words.append(f"{level_label('regularization', level)}: {span}.")
    return " ".join(words)


def _range_words(column: pd.Series) -> str:
    """Return the range of a numeric column, or the number of distinct values of another one, in words."""
    name = str(column.name)
    if not pd.api.types.is_numeric_dtype(column.dtype):
        return f"{name_of(name)} ({column.nunique()} values)"
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    return f"{name_of(name)} {number_text(np.nanmin(values), name)} to {number_text(np.nanmax(values), name)}"
