"""The section with the networks on the front: one drawing for each distinct genotype."""

from __future__ import annotations

import pandas as pd

from results.errors import ResultsError
from results.plots.genotype_drawing import genotype_svg, genotype_words
from results.plots.genotype_layout import read_cells
from results.plots.plots import with_unique_keys
from results.plots.style import number_text
from results.report.elements import Html, element, placeholder
from results.report.material import Material
from results.report.page import Section

MAX_GENOTYPES = 40
"""Most genotypes that are drawn."""
MAX_LABELS = 8
"""Most points that are listed below a genotype."""


def networks_section(material: Material) -> Section:
    """Return the section with the cells of the networks on the front, best first in the first objective."""
    title, front = "Networks on the front", material.front
    if front.empty:
        return Section("networks", title, [placeholder(material.no_front)])
    genotypes = front["genotype"].astype(str)
    distinct = list(dict.fromkeys(genotypes))
    drawings = [_network(text, front[genotypes == text], material) for text in distinct[:MAX_GENOTYPES]]
    networks = with_unique_keys(front)["trial_key"].nunique()
    words = f"Networks on the Pareto front: {networks}. Distinct genotypes among them: {len(distinct)}."
    if len(distinct) > MAX_GENOTYPES:
        words += f" The best {MAX_GENOTYPES} are drawn."
    return Section("networks", title, [element("p", words), element("div", *drawings, class_="networks")])


def _network(genotype: str, rows: pd.DataFrame, material: Material) -> Html:
    """Return the drawing of one genotype, with the values of its best point and the labels of its points."""
    best = rows.iloc[0]
    values = ", ".join(f"{name} {number_text(best[name], name)}" for name in material.directions)
    more = f" and {len(rows) - MAX_LABELS} more" if len(rows) > MAX_LABELS else ""
    labels = element("code", ", ".join(rows["label"].head(MAX_LABELS)))
    points = element("p", "Points: ", labels, more, class_="note")
    try:
        cells = read_cells(genotype)
    except ResultsError:
        note = placeholder("This genotype cannot be drawn.")
        return element("div", note, element("pre", genotype), points, class_="network")
    drawings = [element("figure", Html(genotype_svg(genotype, kind))) for kind in cells]
    words = element(
        "details", element("summary", "Cells as text"), element("p", genotype_words(cells)), class_="note"
    )
    heading = element("h3", f"Best point: {values}")
    return element("div", heading, element("div", *drawings, class_="cells"), words, points, class_="network")
