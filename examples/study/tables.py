"""The answers as Markdown tables, and how they get into ``docs/study.md``."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from examples.study import questions
from examples.study.kept import Study
from results import pareto_front

FASHION, ATTENTION = "fashion_mnist", "attention"
RANKED_BY = {"held-out": "validation_accuracy", "training": "accuracy"}
HALVINGS = ((5, 2), (7, 2))
"""Epochs of the first level, over search and training, and eta, that are replayed."""
COSTS = ("macs", "params", "memory_bytes", "peak_bytes")
Row = Mapping[str, Any] | pd.Series
MARK = re.compile(r"(<!-- table: (\w+) -->\n)(.*?)(<!-- end -->)", flags=re.DOTALL)


def fill(page: str, tables: Mapping[str, str]) -> str:
    """Return the page with each table between its marks. Error: ``KeyError`` for a table that there is none of."""
    return MARK.sub(lambda found: f"{found[1]}\n{tables[found[2]]}\n\n{found[4]}", page)


def tables(studies: Mapping[str, Study]) -> dict[str, str]:
    """Return every table by its name."""
    fashion, attention = studies.get(FASHION), studies.get(ATTENTION)
    found: dict[str, str] = {}
    if fashion is not None:
        found |= {name: make(fashion) for name, make in OF_FASHION.items()}
    if attention is not None:
        found |= {f"attention_{name}": make(attention) for name, make in OF_ATTENTION.items()}
    return found


# --- s ---


def readings(study: Study) -> str:
    """What each reading of s costs and is worth, at lambda = 0, tau = 0 and full precision."""
    points = questions.plain(study.points)
    points = points[points["regularization"] == 0]
    means = questions.over_seeds(points, ["reading"], ["accuracy", *COSTS, "train_s"])
    changes = questions.against(points, "reading", "concat", [], "accuracy")
    means = means.merge(changes, left_on="reading", right_index=True).sort_values("macs", ascending=False)
    rows = [
        [row["reading"], span(row, "accuracy"), change(row), *(f"{row[name]:,.0f}" for name in COSTS)]
        for row in means.to_dict("records")
    ]
    head = ["reading", "accuracy", "against concat, points", "macs", "params", "memory, bytes", "peak, bytes"]
    return table(head, rows)


def same_cells(study: Study) -> str:
    """What each reading costs with the same cells, as a multiple of concat."""
    costs = questions.same_cells(study)
    ratios = [
        questions.ratios(costs, "reading", "concat", [], name)["mean"]
        for name in ("macs", "params", "peak_bytes")
    ]
    order = ratios[0].sort_values(ascending=False).index
    rows = [[name, *(f"{ratio[name]:.2f}" for ratio in ratios)] for name in order]
    return table(["reading", "macs, times", "params, times", "peak bytes, times"], rows)


def readings_everywhere(study: Study) -> str:
    """What each reading changes over all lambdas and rungs alike, and the volume of its front."""
    points, held = study.points, ["regularization", *questions.RUNG]
    volumes = questions.volumes(points, "reading", study.run.objectives())
    accuracy = questions.against(points, "reading", "concat", held, "accuracy")
    costs = [
        questions.ratios(points, "reading", "concat", held, name)
        for name in ("effective_macs", "memory_bytes")
    ]
    rows = [
        [
            name,
            change(accuracy.loc[name]),
            *(
                f"{ratio.loc[name, 'mean']:.2f} ({ratio.loc[name, 'low']:.2f} to {ratio.loc[name, 'high']:.2f})"
                for ratio in costs
            ),
            f"{volume['mean']:.3f} ({volume['low']:.3f} to {volume['high']:.3f})",
        ]
        for name, volume in volumes.sort_values("mean", ascending=False).iterrows()
    ]
    head = [
        "reading",
        "accuracy, points",
        "effective macs, times",
        "memory, times",
        "share of the hypervolume",
    ]
    return table(head, rows)


# --- lambda, tau, precision ---


def lambdas(study: Study) -> str:
    """What lambda does at tau = 0, weights and maps at 8 bits."""
    points = study.points
    points = points[
        (points["threshold"] == 0) & (points["weight_bits"] == 8) & (points["feature_map_bits"] == 8)
    ]
    return _along(points, "regularization", "lambda", ["reading"])


def thresholds(study: Study) -> str:
    """What tau does at 8 bits, for each lambda."""
    points = study.points
    points = points[(points["weight_bits"] == 8) & (points["feature_map_bits"] == 8)]
    parts = []
    for weight, part in points.groupby("regularization"):
        parts.append((f"{weight:g}", _rows(part, "threshold", ["reading"])))
    rows = [[weight, *row] for weight, found in parts for row in found]
    return table(["lambda", "tau", *_MEASURED], rows)


def precisions(study: Study) -> str:
    """What the precisions do at tau = 0, over all lambdas."""
    points = study.points[study.points["threshold"] == 0]
    points = points.assign(
        bits=[f"{w} / {f}" for w, f in zip(points["weight_bits"], points["feature_map_bits"], strict=True)]
    )
    return _along(points, "bits", "bits of weights / maps", ["reading", "regularization"], base="32 / 32")


_MEASURED = [
    "accuracy",
    "against the first row, points",
    "effective macs",
    "zeros",
    "coded maps, bytes",
    "memory, bytes",
]
_COLUMNS = ["accuracy", "effective_share", "sparsity", "feature_map_bytes", "memory_bytes"]


def _along(points: pd.DataFrame, by: str, title: str, held: Sequence[str], base: object = None) -> str:
    return table([title, *_MEASURED], _rows(points, by, held, base))


def _rows(points: pd.DataFrame, by: str, held: Sequence[str], base: object = None) -> list[list[str]]:
    levels = sorted(points[by].unique(), key=lambda level: (level != base, *_numbers(level)))
    means = questions.over_seeds(points, [by], _COLUMNS).set_index(by)
    changes = questions.against(points, by, levels[0], held, "accuracy")
    return [
        [
            f"{level:g}" if isinstance(level, float) else str(level),
            span(means.loc[level], "accuracy"),
            change(changes.loc[level]),
            f"{100 * means.loc[level, 'effective_share']:.1f} %",
            f"{100 * means.loc[level, 'sparsity']:.1f} %",
            f"{means.loc[level, 'feature_map_bytes']:,.0f}",
            f"{means.loc[level, 'memory_bytes']:,.0f}",
        ]
        for level in levels
    ]


def _numbers(level: object) -> list[float]:
    """Return the numbers in a level's name, to sort by; precisions from fine to coarse."""
    found = [float(number) for number in re.findall(r"[\d.]+", str(level))]
    return [-number for number in found] if " / " in str(level) else found


# --- which combination ---


def front(study: Study, rows: int = 12) -> str:
    """The front of the means over seeds, thinned: accuracy by half a point, costs by a tenth of their range."""
    objectives = study.run.objectives()
    means = questions.combinations(study, objectives)
    maximize, minimize = questions.sides(objectives)
    widths = {"accuracy": 0.005} | {name: means[name].max() / 20 for name in minimize}
    best = pareto_front(means, maximize=maximize, minimize=minimize, epsilon=widths)
    best = best.sort_values("accuracy", ascending=False).head(rows)
    cells = [
        [row["reading"], f"{row['regularization']:g}", f"{row['threshold']:g}", str(row["weight_bits"]),
         str(row["feature_map_bits"]), f"{100 * row['accuracy']:.1f} %", f"{row['effective_macs']:,.0f}",
         f"{row['memory_bytes']:,.0f}", f"{row['seeds']:.0f}"]
        for row in best.to_dict("records")
    ]  # fmt: skip
    head = [
        "reading",
        "lambda",
        "tau",
        "weight bits",
        "map bits",
        "accuracy",
        "effective macs",
        "memory, bytes",
        "seeds",
    ]
    return table(head, cells)


def front_counts(study: Study) -> str:
    """How often each value is on the front of the means over seeds, against its share of all combinations."""
    means = questions.combinations(study, study.run.objectives())
    rows = []
    for column in ["reading", "regularization", "threshold", "weight_bits", "feature_map_bits"]:
        for value, part in means.groupby(column, observed=True):
            name = {"regularization": "lambda", "threshold": "tau"}.get(column, column.replace("_", " "))
            shown = f"{value:g}" if isinstance(value, float) else str(value)
            rows.append(
                [
                    name,
                    shown,
                    str(int(part["on_front"].sum())),
                    str(len(part)),
                    f"{100 * part['on_front'].mean():.0f} %",
                ]
            )
    return table(["", "value", "on the front", "of", "share"], rows)


# --- early epochs, sharing, stopping ---


def early_ranks(study: Study) -> str:
    """How far the order of the trials after an epoch is that of the end, by held-out and by training accuracy."""
    held_out, training = questions.early_ranks(study), questions.early_ranks(study, "accuracy")
    rows = [
        [
            f"{row['phase']} {row['epoch']}",
            _correlation(row),
            _correlation(other),
            _within(row),
            _within(other),
        ]
        for row, other in zip(held_out.to_dict("records"), training.to_dict("records"), strict=True)
    ]
    head = [
        "after epoch",
        "by held-out images",
        "by training images",
        "held-out, one lambda",
        "training, one lambda",
    ]
    return table(head, rows)


def _correlation(row: Row) -> str:
    return f"{row['mean']:.2f} ({row['low']:.2f} to {row['high']:.2f})"


def _within(row: Row) -> str:
    return "" if np.isnan(row["within"]) else f"{row['within']:.2f}"


def savings(study: Study) -> str:
    """What sharing searches and the ladder saved, from the seconds that the trials recorded."""
    spent = questions.spent(study)
    run = spent["search"] + spent["train"] + spent["ladder"]
    alone = spent["search_alone"] + spent["train"] + spent["ladder"]
    each = spent["search"] + spent["train_each"] + spent["ladder"]
    neither = (
        spent["search_alone"] * spent["points"] / spent["trials"] + spent["train_each"] + spent["ladder"]
    )
    rows = [
        [f"as run: {spent['searches']:.0f} searches, {spent['trials']:.0f} trainings, "
         f"{spent['points']:.0f} evaluations", f"{run:,.0f}", "1"],
        ["a search for every trial", f"{alone:,.0f}", f"{alone / run:.1f}"],
        ["a training for every point, searches shared", f"{each:,.0f}", f"{each / run:.1f}"],
        ["a search and a training for every point", f"{neither:,.0f}", f"{neither / run:.1f}"],
    ]  # fmt: skip
    return table(["", "core seconds", "times as run"], rows)


def halvings(study: Study) -> str:
    """What halving would have saved and lost."""
    rows = []
    for (first, eta), (name, column) in itertools.product(HALVINGS, RANKED_BY.items()):
        found = questions.halved(study, first, eta, column)
        rows.append(
            [
                f"first after {first} epochs, one of {eta} goes on, by {name} accuracy",
                f"{found['left']:.0f} of {found['trials']:.0f}",
                f"{100 * found['saved']:.0f} %",
                f"{found['volume']:.3f}",
            ]
        )
    return table(["halving", "trials left", "seconds saved", "hypervolume left"], rows)


# --- attention ---


def attention_lambdas(study: Study) -> str:
    """What lambda does, told of all maps, or of all but queries and keys, at tau = 0."""
    points = study.points[study.points["threshold"] == 0]
    kind = ["all" if taps == '["*"]' else "no queries, keys" for taps in points["feature_maps_taps"]]
    points = points.assign(
        term=[
            f"{weight:g}, {name}" if weight else "0"
            for weight, name in zip(points["regularization"], kind, strict=True)
        ]
    )
    return _along(points, "term", "lambda and its maps", ["reading"], base="0")


def attention_thresholds(study: Study) -> str:
    """What tau does in both modes, at lambda = 0."""
    points = study.points[study.points["regularization"] == 0]
    points = points.assign(
        tau=[
            f"{tau:g} {mode}" if tau else "0"
            for tau, mode in zip(points["threshold"], points["threshold_mode"], strict=True)
        ]
    )
    return _along(points, "tau", "tau", ["reading"], base="0")


OF_FASHION: dict[str, Callable[[Study], str]] = {
    "readings": readings,
    "same_cells": same_cells,
    "readings_everywhere": readings_everywhere,
    "lambdas": lambdas,
    "thresholds": thresholds,
    "precisions": precisions,
    "front": front,
    "front_counts": front_counts,
    "early_ranks": early_ranks,
    "savings": savings,
    "halvings": halvings,
}
OF_ATTENTION: dict[str, Callable[[Study], str]] = {
    "readings": readings,
    "lambdas": attention_lambdas,
    "thresholds": attention_thresholds,
    "savings": savings,
}


# --- cells ---


def span(row: Row, column: str) -> str:
    """Return a mean over seeds with its lowest and highest seed, as percentages."""
    low, high = (row[f"{column}_{end}"] for end in ("low", "high"))
    return f"{100 * row[column]:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def change(row: Row) -> str:
    """Return a mean change with its lowest and highest seed, in percentage points."""
    mean, low, high = (100 * row[name] for name in ("mean", "low", "high"))
    return f"{mean:+.1f} ({low:+.1f} to {high:+.1f})" if low or high else "0"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
