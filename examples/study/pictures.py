"""The pictures of the study: those of the report, and the early ranks."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from examples.study import questions
from examples.study.archive import Study
from results.plots.fronts import fronts_figure
from results.plots.style import look, template

SHOWN = 0.12
"""What of accuracy, below the best mean, the pictures of fronts show."""
BANDS = ("rgba(86,180,233,0.2)", "rgba(230,159,0,0.2)")


def pictures(study: Study) -> dict[str, Any]:
    """Return every picture of one run as a plotly figure, by its name."""
    run = study.run
    means = questions.combinations(study, run.objectives())
    means = means.assign(point=means["reading"].astype(str))
    floor = means["accuracy"].max() - SHOWN
    near, where = means[means["accuracy"] > floor], f"accuracy > {floor:.4f}"
    found = {
        "fronts_macs": fronts_figure(near, run.objectives(), by="reading", x="effective_macs"),
        "fronts_memory": fronts_figure(near, run.objectives(), by="reading", x="memory_bytes"),
        "attainment_macs": run.plot_attainment("effective_macs", where=where),
        "attainment_memory": run.plot_attainment("memory_bytes", where=where),
        "sparsity": run.plot_sparsity(),
        "hypervolume": run.plot_hypervolume(),
    }
    trained = study.epochs[study.epochs["phase"] == "train"]
    if trained["validation_accuracy"].notna().any():
        found["early_ranks"] = early_ranks(study)
    return found


def early_ranks(study: Study) -> go.Figure:
    """Return the rank correlation of every epoch with the end, mean over seeds, and the bands of the seeds."""
    figure = go.Figure(layout={"template": template(), "height": 360})
    ways = (("held-out images", "validation_accuracy", BANDS[0]), ("training images", "accuracy", BANDS[1]))
    for place, (name, column, band) in enumerate(ways):
        ranks = questions.early_ranks(study, column)
        figure.add_scatter(
            x=[*ranks["step"], *ranks["step"][::-1]], y=[*ranks["high"], *ranks["low"][::-1]],
            fill="toself", line={"width": 0}, fillcolor=band, showlegend=False,
        )  # fmt: skip
        figure.add_scatter(
            x=ranks["step"], y=ranks["mean"], mode="lines+markers", name=f"ranked by {name}",
            line={"color": look(place)["color"]}, marker={**look(place), "size": 8},
        )  # fmt: skip
    figure.update_xaxes(title_text="epoch (search, then training)", dtick=1)
    figure.update_yaxes(title_text="rank correlation with the end")
    return figure
