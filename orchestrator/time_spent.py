"""What the trials of a run have taken so far: what guesses of the time left go by."""

from __future__ import annotations

from typing import NamedTuple

import pyarrow.compute as pc

from orchestrator.plan import count_searches
from orchestrator.sweep import Sweep
from results import RunDirectory


class Spent(NamedTuple):
    """Mean seconds that a finished trial has taken; ``search``: times the share of trials that search themselves."""

    search: float
    training: float
    ladder: float


def search_share(sweep: Sweep) -> float:
    """Return the share of the sweep's trials that search: the others take a finished search over."""
    return count_searches(sweep, sweep.budget) / sweep.budget


def mean_spent(directory: RunDirectory, share: float) -> Spent | None:
    """Return what the finished trials of a run took; None where there is none."""
    names = ["search_s", "train_s", "ladder_s"]
    table = directory.read_points(columns=names)
    if not table.num_rows:
        return None
    search, training, ladder = (float(pc.mean(table[name]).as_py()) for name in names)
    return Spent(share * search, training, ladder)
