"""The sections with pictures, each with its alternative in words."""

from __future__ import annotations

from collections.abc import Sequence

from results import pareto
from results.plot_fronts import front_figure, plane
from results.plot_style import name_of, number_text
from results.report_elements import element
from results.report_material import Material
from results.report_page import Control, Picture, Section

COSTS = ("macs", "effective_macs", "memory_bytes")
FACTORS = ("splitting", "regularization", "threshold")


def front_section(material: Material) -> Section:
    """Return the interactive front."""
    title = "Front"
    if material.points.empty:
        return Section(
            "front", title, [nothing("No trial has finished yet, so there are no points to show.")]
        )
    y, costs = quality(material), cost_columns(material)
    command = material.command("export", "{point}")
    figures = {}
    for color in FACTORS:
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
        controls=[cost_control(costs), Control("colour", [(name, name_of(name)) for name in FACTORS])],
    )
    return Section("front", title, pictures=[picture])


def quality(material: Material) -> str:
    """Return the column of the y axis: the first objective to maximize, or the accuracy."""
    return next((name for name, way in material.directions.items() if way == "max"), "accuracy")


def cost_columns(material: Material) -> list[str]:
    """Return the columns of the x axis: the usual costs, and what else the sweep minimizes."""
    others = [name for name, way in material.directions.items() if way == "min" and name not in COSTS]
    return [*COSTS, *others]


def cost_control(costs: Sequence[str]) -> Control:
    """Return the choice of the x axis."""
    return Control("against", [(name, name.replace("_", " ")) for name in costs])


def nothing(text: str) -> str:
    """Return what stands where a picture has nothing to show."""
    return element("p", text, class_="note")


def _front_words(material: Material, y: str, costs: Sequence[str]) -> str:
    front = material.front
    words = [
        f"{len(material.points)} points of {material.points['trial_key'].nunique()} trials; large: the "
        f"{len(front)} on the front of {', '.join(material.directions)}. The dotted line is the front of the two axes.",
    ]
    for x in costs:
        best = front[pareto.front_mask(front, plane(x, y, material.directions))].sort_values(x)
        if len(best):
            ends = [best.iloc[0], best.iloc[-1]]
            low, high = (f"{number_text(row[y], y)} at {number_text(row[x], x)}" for row in ends)
            words.append(f"{y} against {x}: from {low} to {high}.")
    words.append("Touch or click a point for the command that exports its network.")
    return " ".join(words)
