"""The pictures of the study: those of the report, and the rank correlation of each epoch."""

from __future__ import annotations

import plotly.graph_objects as go

from examples.study import questions
from examples.study.archive import Study
from results.plots.fronts import fronts_figure
from results.plots.style import marker_style, template

SHOWN = 0.12
"""The pictures of fronts show accuracies down to so much below the best mean."""
BANDS = ("rgba(86,180,233,0.2)", "rgba(230,159,0,0.2)")


def pictures(study: Study) -> dict[str, go.Figure]:
    """Return the pictures of one run by name."""
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
    """Draw the rank correlation of every epoch with the end: the mean over seeds, in a band of all seeds."""
    figure = go.Figure(layout={"template": template(), "height": 360})
    ways = (("held-out images", "validation_accuracy", BANDS[0]), ("training images", "accuracy", BANDS[1]))
    for series, (name, column, band) in enumerate(ways):
        ranks = questions.early_ranks(study, column)
        figure.add_scatter(
            x=[*ranks["step"], *ranks["step"][::-1]], y=[*ranks["high"], *ranks["low"][::-1]],
            fill="toself", line={"width": 0}, fillcolor=band, showlegend=False,
        )  # fmt: skip
        figure.add_scatter(
            x=ranks["step"], y=ranks["mean"], mode="lines+markers", name=f"ranked by {name}",
            line={"color": marker_style(series)["color"]}, marker={**marker_style(series), "size": 8},
        )  # fmt: skip
    figure.update_xaxes(title_text="epoch (search, then training)", dtick=1)
    figure.update_yaxes(title_text="rank correlation with the end")
    return figure
