"""What lambda and tau do to accuracy, sparsity, effective macs and coded bytes: Fashion-MNIST, three seeds.

The trials are those of ``examples/attention.yaml`` and ``examples/hybrid.yaml`` in other sizes, at four lambdas and
three seeds. The run directories are kept under ``runs/``: a second call, or one after a kill, resumes them. Over an
hour on two cores.
"""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from benchmarks import harness
from benchmarks.harness import Cell, Figure, Measured, Table
from orchestrator import Sweep, launch

EXAMPLES = Path(__file__).parent.parent / "examples"
SPACES = ("attention", "hybrid")
SIZES = {
    "attention": ("trial.data.train_images=6000", "trial.data.test_images=2000", "trial.train.epochs=10"),
    "hybrid": ("trial.data.train_images=4000", "trial.data.test_images=1000", "trial.train.epochs=8"),
}
SWEPT = {"feature_maps.regularization": [0.0, 1e-3, 1e-2, 1e-1], "seed": [0, 1, 2]}
MEASURED = ("accuracy", "sparsity", "effective_share", "feature_map_bytes", "entropy_bytes", "memory_bytes")


def measure(quick: bool) -> Measured:
    """Launch or resume both sweeps, and tabulate means over seeds with their standard deviations."""
    if "SHRINKSWEEP_DATA" not in os.environ:
        raise SystemExit("the images must be in the folder that SHRINKSWEEP_DATA names, but it is not set")
    figures: list[Figure] = []
    tables: list[Table] = []
    seeds: dict[str, int] = {}
    for space in SPACES:
        points = _points(space, quick)
        seeds[space] = points["seed"].nunique()
        tables.append(table(points, f"{space}: mean over {seeds[space]} seeds (standard deviation)"))
        figures += figures_of(points, space)
    return Measured(
        figures, {"sweeps": [f"examples/{space}.yaml" for space in SPACES], "seeds": seeds}, tables
    )


def _points(space: str, quick: bool) -> pd.DataFrame:
    content = Sweep.from_yaml(EXAMPLES / f"{space}.yaml", SIZES[space]).model_dump(mode="json")
    content |= {"name": f"feature_maps-{space}", "sweep": SWEPT}
    if quick:
        content["trial"]["data"] |= {"train_images": 256, "test_images": 128}
        content |= {"name": f"{content['name']}-quick", "sweep": SWEPT | {"seed": [0]}}
    points = launch(Sweep.from_mapping(content), Path("runs") / content["name"]).points()
    return points.assign(effective_share=points["effective_macs"] / points["macs"])


def table(points: pd.DataFrame, title: str) -> Table:
    """Return a row for every lambda and threshold: means over seeds, standard deviations in brackets."""
    keys = ["regularization", "threshold_mode", "threshold"]
    rows: list[list[Cell]] = []
    for _, part in points.groupby(keys, observed=True):
        levels: list[Cell] = [part[key].iloc[0] for key in keys]
        rows.append([*levels, *(f"{part[name].mean():.4g} ({part[name].std():.2g})" for name in MEASURED)])
    return Table(title, [*keys, *MEASURED], rows)


def figures_of(points: pd.DataFrame, space: str) -> list[Figure]:
    """Return, for each lambda, the smallest shares of effective macs and coded bytes at a loss of 0.01 in accuracy.

    Both are means over seeds, against lambda = 0 and tau = 0. The smallest share is taken over the thresholds of both
    modes that lose at most 0.01.
    """
    keys = ["regularization", "threshold_mode", "threshold"]
    means = points.groupby(keys, observed=True)[list(MEASURED)].mean().reset_index()
    plain = means[(means["regularization"] == 0) & (means["threshold"] == 0)].iloc[0]
    sound = means[means["accuracy"] >= plain["accuracy"] - 0.01]
    figures = [Figure(f"{space}_accuracy_plain", float(plain["accuracy"]), "")]
    for strength in sorted(means["regularization"].unique()):
        rows = sound[sound["regularization"] == strength]
        for name, column in (("effective_macs", "effective_share"), ("coded_bytes", "feature_map_bytes")):
            left = float(rows[column].min() / plain[column]) if len(rows) else None
            figures.append(
                Figure(f"{space}_{name}_left_lambda_{strength:g}", left, "of plain", better="lower")
            )
    return figures


if __name__ == "__main__":
    harness.main("feature_maps", measure)
