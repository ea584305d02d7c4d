"""The pictures of the study: those of the report, and the early ranks."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from examples.study import questions
from examples.study.kept import Study
from results.front_plots import fronts_figure
from results.plot_style import PALETTE, template


def pictures(study: Study) -> dict[str, Any]:
    """Return every picture of one run as a plotly figure, by its name."""
    run, points = study.run, study.points
    means = questions.combinations(study, run.objectives())
    means = means.assign(point=means["reading"].astype(str))
    found = {
        "fronts_macs": fronts_figure(means, run.objectives(), by="reading", x="effective_macs"),
        "fronts_memory": fronts_figure(means, run.objectives(), by="reading", x="memory_bytes"),
        "attainment_macs": run.plot_attainment("effective_macs"),
        "attainment_memory": run.plot_attainment("memory_bytes"),
        "sparsity": run.plot_sparsity(),
        "hypervolume": run.plot_hypervolume(),
    }
    if points["seed"].nunique() and study.epochs["validation_accuracy"].notna().any():
        found["early_ranks"] = early_ranks(study)
    return found


def early_ranks(study: Study) -> go.Figure:
    """Return the rank correlation of every epoch with the end: the mean over seeds, and the band of the seeds."""
    ranks = questions.early_ranks(study)
    figure = go.Figure(layout={"template": template(), "height": 360})
    band = {"x": [*ranks["step"], *ranks["step"][::-1]], "y": [*ranks["high"], *ranks["low"][::-1]]}
    figure.add_scatter(
        **band, fill="toself", line={"width": 0}, fillcolor="rgba(86,180,233,0.3)", name="all seeds"
    )
    figure.add_scatter(
        x=ranks["step"], y=ranks["mean"], mode="lines+markers", line={"color": PALETTE[0]}, name="mean"
    )
    figure.update_xaxes(title_text="epoch (search, then training)", dtick=1)
    figure.update_yaxes(title_text="rank correlation with the end")
    return figure
