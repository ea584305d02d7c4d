"""The time that a run still needs, estimated from its epochs and its finished trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pyarrow.compute as pc

from orchestrator.preflight.plan import count_searches
from orchestrator.sweep.sweep import Sweep
from results import RunDirectory


class Spent(NamedTuple):
    """Mean seconds of each phase of a finished trial."""

    search: float
    """Times the share of trials that run a search of their own."""
    training: float
    ladder: float


def search_share(sweep: Sweep) -> float:
    """Return the share of the sweep's trials that run a search of their own; the others take over a finished one."""
    return count_searches(sweep, sweep.budget) / sweep.budget


def mean_spent(directory: RunDirectory, share: float, keys: Sequence[str] | None = None) -> Spent | None:
    """Return the mean seconds of a run's finished trials; None if there is none.

    Args:
        directory: the run.
        share: see ``search_share``.
        keys: only these trials; default: all.
    """
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
    """Return the estimated time left, in seconds; None until the first epoch is known.

    Args:
        epochs_left: of each running trial.
        epoch_s: seconds of the latest epochs; their mean is the expected time of an epoch.
        at_a_time: trials that run at the same time; they share the remaining work.
        waiting: trials that have not started. Each takes ``trial_s``, or the time of ``epochs`` epochs.
        epochs: epochs of a trial.
        trial_s: mean seconds of a finished trial; None until one is known.
        ladder_s: mean seconds of a ladder; 0 until one is known.
    """
    if not epoch_s:
        return None
    mean_epoch_s = sum(epoch_s) / len(epoch_s)
    each_s = epochs * mean_epoch_s if trial_s is None else trial_s
    running_s = sum(epochs_left) * mean_epoch_s + len(epochs_left) * ladder_s
    return (running_s + waiting * each_s) / at_a_time
