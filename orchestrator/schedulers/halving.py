"""Multi-objective asynchronous successive halving: which trials are worth their next epochs.

At epoch r, r eta, r eta^2, ... (the levels) a trial is compared with all that have reached the level before it.
It goes on when it is among the best 1/eta of them. Better is: a lower non-dominated rank; among equal ranks, a
larger contribution to the hypervolume of its rank's set (Li et al., A System for Massively Parallel
Hyperparameter Tuning, 2018, and Schmucker et al., Multi-objective Asynchronous Successive Halving, 2021, with
the hypervolume contribution as the order inside a rank). Directions may be mixed, ties are broken by a seeded
hash of the trial's index.

``decide`` is a pure function of the reports so far: replaying a log gives the same decisions, bit for bit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import moocore
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Report:
    """One trial's objectives at one epoch, in the order of the halving's objectives."""

    index: int
    epoch: int
    values: tuple[float, ...]


@dataclass(frozen=True)
class Rules:
    """How halving goes about it. ``signs``: 1 where less is better, -1 where more is."""

    first: int
    """Epochs of the first level."""
    eta: int
    """One of so many goes on from each level; each level has so many times the epochs of the one before."""
    signs: tuple[float, ...]
    seed: int = 0

    def level(self, epoch: int) -> int | None:
        """Return the place of the level that ends with ``epoch``, from 0; None between levels."""
        edge, place = self.first, 0
        while edge < epoch:
            edge, place = edge * self.eta, place + 1
        return place if edge == epoch else None


def decide(rules: Rules, earlier: Sequence[Report], report: Report) -> bool:
    """Return whether a trial goes on, from the reports of the same level that came before its own.

    The first ``eta`` - 1 trials of a level have nothing to be measured against yet, and go on. A report with a
    value that is not finite never does.
    """
    if not all(np.isfinite(report.values)):
        return False
    sound = [r for r in earlier if all(np.isfinite(r.values)) and r.index != report.index]
    everyone = [*sound, report]
    if len(everyone) < rules.eta:
        return True
    order = best_first(rules, everyone)
    return order.index(len(everyone) - 1) < max(1, len(everyone) // rules.eta)


def best_first(rules: Rules, reports: Sequence[Report]) -> list[int]:
    """Return the places of ``reports``, best first."""
    costs = np.array([r.values for r in reports], dtype=np.float64) * np.array(rules.signs)  # [n, m]
    ranks = moocore.pareto_rank(costs)
    share = _contributions(costs, ranks)
    chance = [_hash(rules.seed, report.index) for report in reports]
    return sorted(range(len(reports)), key=lambda i: (int(ranks[i]), -share[i], chance[i]))


def _contributions(costs: NDArray[np.float64], ranks: NDArray[Any]) -> NDArray[np.float64]:
    """Return what each row adds to the hypervolume of the rows of its rank, in the unit cube of all rows, [n].

    The reference point lies a tenth beyond the worst value of each objective.
    """
    low, high = costs.min(axis=0), costs.max(axis=0)
    scaled = (costs - low) / np.where(high > low, high - low, 1.0)
    reference = np.full(costs.shape[1], 1.1)
    share = np.zeros(len(costs))
    if costs.shape[1] == 1:  # all rows of a rank are equal
        return share
    for rank in np.unique(ranks):
        rows = np.flatnonzero(ranks == rank)
        share[rows] = moocore.hv_contributions(scaled[rows], ref=reference)
    return share


def _hash(seed: int, index: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}:{index}".encode()).digest()[:8], "big")


@dataclass
class Halving:
    """The reports of a sweep, level by level, and what was decided on them."""

    rules: Rules
    levels: dict[int, list[Report]] = field(default_factory=dict)
    decisions: dict[tuple[int, int], bool] = field(default_factory=dict)

    def reported(self, report: Report) -> bool:
        """Take note of an epoch; return whether the trial goes on. Asked again, it answers the same."""
        level = self.rules.level(report.epoch)
        if level is None:
            return True
        known = self.decisions.get((report.index, level))
        if known is not None:
            return known
        goes_on = decide(self.rules, self.levels.get(level, []), report)
        self.remember(report, goes_on)
        return goes_on

    def remember(self, report: Report, goes_on: bool) -> None:
        """Take note of a report whose decision is known, such as one that is read back from storage."""
        level = self.rules.level(report.epoch)
        if level is not None and (report.index, level) not in self.decisions:
            self.levels.setdefault(level, []).append(report)
            self.decisions[report.index, level] = goes_on


def rules_of(directions: Mapping[str, str], *, first: int, eta: int, seed: int) -> Rules:
    """Return the rules for objectives of the progress rows: ``{"validation_accuracy": "max", ...}``."""
    signs = tuple(-1.0 if sense == "max" else 1.0 for sense in directions.values())
    return Rules(first, eta, signs, seed)


def replay(rules: Rules, log: Iterable[Report]) -> list[bool]:
    """Return the decision on every report of a log, in its order."""
    halving = Halving(rules)
    return [halving.reported(report) for report in log]
