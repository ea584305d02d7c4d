"""Tables of effort: how early the ranking of the trials is known, and what early stopping and sharing save."""

from __future__ import annotations

import itertools

import numpy as np

from examples.study import questions
from examples.study.archive import Study
from examples.study.cells import Row, table

HALVINGS = ((5, 2), (7, 2))
"""Replayed rules: epochs before the first comparison, over search and training, and eta."""
COMPARED_BY = {
    "held-out accuracy": {"validation_accuracy": "max"},
    "training accuracy": {"accuracy": "max"},
    "held-out accuracy and effective macs": {"validation_accuracy": "max", "effective_macs": "min"},
    "training accuracy and effective macs": {"accuracy": "max", "effective_macs": "min"},
}
"""Objectives by which the replays compare trials."""


def early_ranks(study: Study) -> str:
    """Return the rank correlation of each epoch with the end, by held-out and by training accuracy."""
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
    """Return what shared searches and the ladder saved, from the seconds that the trials recorded."""
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
    return table(["", "recorded seconds", "times as run"], rows)


def halvings(study: Study) -> str:
    """Return what halving would have saved and lost."""
    rows = []
    for (first, eta), (name, directions) in itertools.product(HALVINGS, COMPARED_BY.items()):
        found = questions.halved(study, first, eta, directions)
        rows.append(
            [
                f"first after {first} epochs, one of {eta} goes on, by {name}",
                f"{found['left']:.0f} of {found['trials']:.0f}",
                f"{100 * found['saved']:.0f} %",
                f"{found['volume']:.3f}",
            ]
        )
    return table(["halving", "trials left", "seconds saved", "hypervolume left"], rows)
