"""How long a run still takes: a guess from its epochs, and from what its finished trials took."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pyarrow.compute as pc

from orchestrator.preflight.plan import count_searches
from orchestrator.sweep.sweep import Sweep
from results import RunDirectory


class Spent(NamedTuple):
    """Mean seconds that a finished trial has taken; ``search``: times the share of trials that search themselves."""

    search: float
    training: float
    ladder: float


def search_share(sweep: Sweep) -> float:
    """Return the share of the sweep's trials that search: the others take a finished search over."""
    return count_searches(sweep, sweep.budget) / sweep.budget


def mean_spent(directory: RunDirectory, share: float, keys: Sequence[str] | None = None) -> Spent | None:
    """Return what the finished trials of a run (or those of ``keys``) took; None where there is none."""
    names = ["search_s", "train_s", "ladder_s"]
    table = directory.read_points(keys, names)
    if not table.num_rows:
        return None
    search, training, ladder = (float(pc.mean(table[name]).as_py()) for name in names)
    return Spent(share * search, training, ladder)


def seconds_left(
    epochs_left: Sequence[int],
    epoch_s: Sequence[float],
    at_a_time: int,
    waiting: int,
    epochs: float,
    trial_s: float | None,
    ladder_s: float,
) -> float | None:
    """Share what is left among the trials that run at a time; None without an epoch to go by.

    Args:
        epochs_left: of each trial under way; they go on at the mean pace.
        epoch_s: seconds of the last epochs.
        at_a_time: trials that get on.
        waiting: trials that have not begun. Each takes ``trial_s``, or ``epochs`` at that pace.
        trial_s: mean seconds of a finished trial; None as long as there is none.
        ladder_s: mean seconds of a ladder; 0 as long as none is known.
    """
    if not epoch_s:
        return None
    pace = sum(epoch_s) / len(epoch_s)
    each = epochs * pace if trial_s is None else trial_s
    return (sum(epochs_left) * pace + len(epochs_left) * ladder_s + waiting * each) / at_a_time
