"""The sections with fronts, each picture with its alternative in words."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from results.pareto import choosing, pareto
from results.pareto.attainment import LEVELS, attained_by, attainment
from results.plots.fronts import attainment_figure, by_level, front_figure, fronts_figure, plane
from results.plots.plots import one_key
from results.plots.style import name_of, named, number_text
from results.report.elements import nothing
from results.report.material import Material
from results.report.page import Control, Picture, Section

NO_POINTS = "No trial has finished yet, so there are no points to show."


def front_section(material: Material) -> Section:
    """Return the interactive front."""
    title = "Front"
    if material.points.empty:
        return Section("front", title, [nothing(NO_POINTS)])
    y, costs = material.quality, material.costs
    command = material.export("{point}")
    figures = {}
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
            )
            figures[f"{x}|{color}"] = figure.update_layout(meta={"command": command})
    picture = Picture(
        name="front",
        label=f"Scatter of {y} against {costs[0]}; the front in words is below",
        caption=_front_words(material, y, costs),
        figures=figures,
        controls=[cost_control(costs), Control("colour", _names(material.factors))],
        picked=True,
    )
    return Section("front", title, pictures=[picture])


def fronts_section(material: Material) -> Section:
    """Return the fronts of each value of s, lambda and tau."""
    if material.points.empty:
        return Section("fronts", "Fronts side by side", [nothing(NO_POINTS)])
    y = material.quality
    figures = {
        f"{by}|{x}": fronts_figure(material.points, material.directions, by=by, x=x, y=y)
        for by in material.factors
        for x in material.costs
    }
    words = " ".join(_compared(material, by, material.costs[0], y) for by in material.factors)
    picture = Picture(
        name="fronts",
        label=f"Lines: the front of {y} against {material.costs[0]} for each value of a swept parameter",
        caption=f"Each line is the front of the two axes among the points of one value. {words}",
        figures=figures,
        controls=[Control("a front for each", _names(material.factors)), cost_control(material.costs)],
    )
    return Section("fronts", "Fronts side by side", pictures=[picture])


def attainment_section(material: Material) -> list[Section]:
    """Return the bands over seeds; nothing where there is one seed only."""
    seeds = int(material.points["seed"].nunique())
    if seeds < 2:
        return []
    y, figures, words = material.quality, {}, []
    low, middle, high = (attained_by(level, seeds) for level in LEVELS)
    for x in material.costs:
        surfaces = attainment(material.points, maximize=[y], minimize=[x])
        figures[x] = attainment_figure(surfaces, seeds, x=x, y=y)
        words.append(_band_words(surfaces, x, y))
    picture = Picture(
        name="attainment",
        label=f"Staircase of the front of {y} attained by {middle} of {seeds} seeds, with the band of {low} to {high}",
        caption=f"Line: attained by {middle} of the {seeds} seeds; band: by {low} to {high}. {' '.join(words)}",
        figures=figures,
        controls=[cost_control(material.costs)],
    )
    return [Section("attainment", "How far the seeds agree", pictures=[picture])]


def cost_control(costs: Sequence[str]) -> Control:
    """Return the choice of the x axis."""
    return Control("against", [(name, name.replace("_", " ")) for name in costs])


def _names(columns: Sequence[str]) -> list[tuple[str, str]]:
    return [(name, name_of(name)) for name in columns]


def _compared(material: Material, by: str, x: str, y: str) -> str:
    ends = []
    for level, rows in by_level(material.points[list(dict.fromkeys([by, y, x]))], by):
        best = choosing.best(rows, maximize=[y], minimize=[x])
        ends.append(f"{named(by, level)}: {number_text(best[y], y)} at {number_text(best[x], x)}")
    return f"Best {y} for {'; '.join(ends)} {x.replace('_', ' ')}."


def _band_words(surfaces: pd.DataFrame, x: str, y: str) -> str:
    middle = surfaces[surfaces["level"] == 0.5].sort_values(x)
    if middle.empty:
        return ""
    low, high = middle.iloc[0], middle.iloc[-1]
    return (
        f"Median against {x.replace('_', ' ')}: from {number_text(low[y], y)} at {number_text(low[x], x)} "
        f"to {number_text(high[y], y)} at {number_text(high[x], x)}."
    )


def _front_words(material: Material, y: str, costs: Sequence[str]) -> str:
    front = material.front
    words = [
        f"{len(material.points):,} points of {one_key(material.points)['trial_key'].nunique()} trials; large: the "
        f"{len(front)} on the front of {', '.join(material.directions)}. The dotted line is the front of the two axes.",
    ]
    for x in costs:
        best = front[pareto.front_mask(front, plane(x, y, material.directions))].sort_values(x)
        if len(best):
            ends = [best.iloc[0], best.iloc[-1]]
            low, high = (f"{number_text(row[y], y)} at {number_text(row[x], x)}" for row in ends)
            words.append(
                f"{y} against {x}: {low}." if low == high else f"{y} against {x}: from {low} to {high}."
            )
    words.append("Touch or click a point for the command that exports its network.")
    return " ".join(words)
