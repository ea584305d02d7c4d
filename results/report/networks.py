"""The section of the networks on the front: their cells drawn, equal ones once."""

from __future__ import annotations

import pandas as pd

from results.errors import ResultsError
from results.plots.genotype_drawing import genotype_svg, genotype_words
from results.plots.genotype_layout import read_cells
from results.plots.plots import one_key
from results.plots.style import number_text
from results.report.elements import Html, element, nothing
from results.report.material import Material
from results.report.page import Section

MOST = 40
"""Different genotypes that the page draws."""
NAMED = 8
"""Points that are named with a genotype."""


def networks_section(material: Material) -> Section:
    """Return the cells of every network on the front, best first in the first objective."""
    front = material.front
    if front.empty:
        return Section("networks", "Networks on the front", [nothing("There is no point yet.")])
    genotypes = front["genotype"].astype(str)
    found = list(dict.fromkeys(genotypes))
    drawings = [_network(text, front[genotypes == text], material) for text in found[:MOST]]
    networks = one_key(front)["trial_key"].nunique()
    words = f"Networks on the front: {networks}; different genotypes among them: {len(found)}."
    if len(found) > MOST:
        words += f" The {MOST} best are drawn."
    return Section(
        "networks",
        "Networks on the front",
        [element("p", words), element("div", *drawings, class_="networks")],
    )


def _network(text: str, rows: pd.DataFrame, material: Material) -> Html:
    best = rows.iloc[0]
    values = ", ".join(f"{name} {number_text(best[name], name)}" for name in material.directions)
    more = f" and {len(rows) - NAMED} more" if len(rows) > NAMED else ""
    points = element(
        "p", "Points: ", element("code", ", ".join(rows["label"].head(NAMED))), more, class_="note"
    )
    try:
        cells = read_cells(text)
    except ResultsError:
        return element(
            "div", nothing("This genotype cannot be drawn."), element("pre", text), points, class_="network"
        )
    drawn = [element("figure", Html(genotype_svg(text, kind))) for kind in cells]
    words = element(
        "details", element("summary", "In words"), element("p", genotype_words(cells)), class_="note"
    )
    return element(
        "div", element("h3", values), element("div", *drawn, class_="cells"), words, points, class_="network"
    )
