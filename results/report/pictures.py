"""The sections with fronts. Every picture has a caption that says the same in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from results.pareto import choosing, pareto
from results.pareto.attainment import LEVELS, attained_by, attainment
from results.pareto.objectives import to_float64
from results.plots.fronts import attainment_figure, axis_objectives, by_level, front_figure, fronts_figure
from results.plots.plots import with_unique_keys
from results.plots.style import level_label, name_of, number_text
from results.report.elements import placeholder
from results.report.material import Material
from results.report.page import Control, Picture, Section


def front_section(material: Material) -> Section:
    """Return the section with all points and the front, for each cost and colour."""
    title = "Pareto front"
    if material.points.empty:
        return Section("front", title, [placeholder(material.no_points)])
    y, costs = material.quality, material.costs
    command = material.export_command("{point}")
    figures = {}
    log = material.run.swept_on_log_scale()
    for color in material.factors:
        for x in costs:
            figure = front_figure(
                material.points,
                material.on_front,
                material.directions,
                x=x,
                y=y,
                color=color,
                command=command,
                labels=material.labels,
                log_color=color in log,
            )
            figures[f"{x}|{color}"] = figure.update_layout(meta={"command": command})
    picture = Picture(
        name="front",
        label=f"Scatter plot of {y} against {costs[0]}; the caption describes the front in words",
        caption=_front_words(material, y, costs),
        figures=figures,
        controls=[cost_control(costs), Control("colour", _names(material.factors))],
        clickable=True,
    )
    return Section("front", title, pictures=[picture])


def fronts_section(material: Material) -> Section:
    """Return the section with one front for each value of a factor."""
    title = "Fronts by parameter"
    if material.points.empty:
        return Section("fronts", title, [placeholder(material.no_points)])
    y = material.quality
    figures = {
        f"{by}|{x}": fronts_figure(material.points, material.directions, by=by, x=x, y=y)
        for by in material.factors
        for x in material.costs
    }
    words = " ".join(_best_by_level(material, by, material.costs[0], y) for by in material.factors)
    picture = Picture(
        name="fronts",
        label=f"Line plot: the front of {y} against {material.costs[0]} for each value of a swept parameter",
        caption=f"One line for each value: the front of the two axes over the points with this value. {words}",
        figures=figures,
        controls=[Control("one front for each", _names(material.factors)), cost_control(material.costs)],
    )
    return Section("fronts", title, pictures=[picture])


def attainment_section(material: Material) -> list[Section]:
    """Return the section with the attainment bands over seeds; none if there is only one seed."""
    seeds = int(material.points["seed"].nunique())
    if seeds < 2:
        return []
    y, figures, words = material.quality, {}, []
    low, middle, high = (attained_by(level, seeds) for level in LEVELS)
    for x in material.costs:
        surfaces = attainment(material.points, maximize=[y], minimize=[x])
        figures[x] = attainment_figure(surfaces, seeds, x=x, y=y)
        words.append(_median_words(surfaces, x, y))
    picture = Picture(
        name="attainment",
        label=f"Step plot of the front of {y} attained by {middle} of {seeds} seeds, with the band of {low} to {high}",
        caption=(
            f"Line: the front that {middle} of the {seeds} seeds attain. Band: between the fronts that {low} and "
            f"{high} of them attain. {' '.join(words)}"
        ),
        figures=figures,
        controls=[cost_control(material.costs)],
    )
    return [Section("attainment", "Variation between seeds", pictures=[picture])]


def cost_control(costs: Sequence[str]) -> Control:
    """Return the control that chooses the x axis."""
    return Control("x axis", [(name, name.replace("_", " ")) for name in costs])


def _names(columns: Sequence[str]) -> list[tuple[str, str]]:
    return [(name, name_of(name)) for name in columns]


def _best_by_level(material: Material, by: str, x: str, y: str) -> str:
    """Return the best quality for each value of a factor, in words."""
    levels = []
    for level, rows in by_level(material.points[list(dict.fromkeys([by, y, x]))], by):
        usable = rows[np.isfinite(to_float64(rows[y])) & np.isfinite(to_float64(rows[x]))]
        if usable.empty:
            levels.append(f"{level_label(by, level)}: not measured")
            continue
        best = choosing.best(usable, maximize=[y], minimize=[x])
        levels.append(f"{level_label(by, level)}: {number_text(best[y], y)} at {number_text(best[x], x)}")
    return f"Best {y} and its {x}: {'; '.join(levels)}."


def _median_words(surfaces: pd.DataFrame, x: str, y: str) -> str:
    """Return the two ends of the median front in words."""
    median = surfaces[surfaces["level"] == 0.5].sort_values(x)
    if median.empty:
        return ""
    low, high = median.iloc[0], median.iloc[-1]
    return (
        f"Median front of {y} against {x}: from {number_text(low[y], y)} at {number_text(low[x], x)} "
        f"to {number_text(high[y], y)} at {number_text(high[x], x)}."
    )


def _front_words(material: Material, y: str, costs: Sequence[str]) -> str:
    """Return the number of points and the two ends of the front for each cost, in words."""
    front = material.front
    trials = with_unique_keys(material.points)["trial_key"].nunique()
    words = [
        f"{len(material.points):,} points of {trials} trials. Large markers: the {len(front)} points on the Pareto "
        f"front of {', '.join(material.directions)}. Dotted line: the front of the two axes alone.",
    ]
    for x in costs:
        ends = front[pareto.front_mask(front, axis_objectives(x, y, material.directions))].sort_values(x)
        if len(ends):
            low, high = (
                f"{number_text(row[y], y)} at {number_text(row[x], x)}"
                for row in (ends.iloc[0], ends.iloc[-1])
            )
            span = low if low == high else f"from {low} to {high}"
            words.append(f"Front of {y} against {x}: {span}.")
    words.append("Click or tap a point to see the command that exports its network.")
    return " ".join(words)
