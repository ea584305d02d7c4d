"""Tables of effort: how early the ranking of the trials is known, and what early stopping and sharing save."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

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
    """Return what each rule of halving would have saved and lost, beside as many trials chosen at random."""
    both = [questions.Volumes.of(study, useful) for useful in (questions.NOTHING, questions.USEFUL)]
    trials = study.points["trial_index"].nunique()
    rows = []
    for name, replay in _replays(study).items():
        cells = [name, f"{len(replay.left)} of {trials}", f"{100 * replay.saved:.0f} %"]
        for volumes in both:
            kept, chance = _mean(volumes.left(replay.left)), _mean(volumes.at_random(len(replay.left)))
            cells.append(f"{kept:.3f} ({chance:.3f})")
        rows.append(cells)
    head = [
        "halving",
        "trials left",
        "all seconds saved",
        "hypervolume left (at random)",
        "above 80% accuracy",
    ]
    return table(head, rows)


def halving_choices(study: Study) -> str:
    """Return how a rule scores on a seed when it was chosen on the other seeds: the one that leaves most there."""
    volumes = questions.Volumes.of(study, questions.USEFUL)
    replays = {name: replay for name, replay in _replays(study).items() if replay.saved >= WORTHWHILE}
    kept = {name: volumes.left(replay.left) for name, replay in replays.items()}
    rows = []
    for seed in sorted(volumes.costs):
        others = {
            name: _mean({s: v for s, v in by_seed.items() if s != seed}) for name, by_seed in kept.items()
        }
        chosen = max(others, key=lambda name: others[name])
        chance = volumes.at_random(len(replays[chosen].left))
        rows.append([str(seed), chosen, f"{kept[chosen][seed]:.3f}", f"{chance[seed]:.3f}"])
    return table(["seed", "rule chosen on the other seeds", "left on this seed", "at random"], rows)


WORTHWHILE = 0.25
"""Share of all seconds that a rule must save to be chosen."""


def _replays(study: Study) -> dict[str, questions.Replay]:
    return {
        f"first after {first} epochs, one of {eta} goes on, by {name}": questions.halved(
            study, first, eta, directions
        )
        for (first, eta), (name, directions) in itertools.product(HALVINGS, COMPARED_BY.items())
    }


def _mean(values: Mapping[int, float]) -> float:
    return float(np.mean(list(values.values())))
