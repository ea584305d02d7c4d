"""Multi-objective asynchronous successive halving: which trials are worth further epochs.

At epoch r, r eta, r eta^2, ... (a *level*; "rung" in the papers, which here means a point of the ladder) a trial is
compared with all trials that have reached the level before it. It continues if it is among the best 1/eta of them.
The order is by non-dominated rank, and within a rank by the contribution to the hypervolume of that rank. Directions
may be mixed. Trials of equal order go on together: trials that share a search report equal values in it, and none of
them is better than the others.

Sources: Li et al., A System for Massively Parallel Hyperparameter Tuning, 2018; Schmucker et al., Multi-objective
Asynchronous Successive Halving, 2021. The hypervolume contribution as the order within a rank is our choice.

``decide`` is a pure function of the reports so far: replaying a log gives the same decisions, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import moocore
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Report:
    """The objectives of one trial at one epoch, in the order of ``Rules.signs``."""

    index: int
    epoch: int
    values: tuple[float, ...]


@dataclass(frozen=True)
class Rules:
    """The settings of successive halving."""

    first: int
    """Epoch of the first level."""
    eta: int
    """Reduction factor: the best 1/eta continue, and each level has eta times the epochs of the one before."""
    signs: tuple[float, ...]
    """For each objective 1 if it is minimized, -1 if it is maximized."""

    def levels(self, epochs: int) -> list[int]:
        """Return the epochs of all levels in a trial of ``epochs`` epochs.

        >>> Rules(first=1, eta=3, signs=(1.0,)).levels(20)
        [1, 3, 9]
        """
        found, boundary = [], self.first
        while boundary <= epochs:
            found.append(boundary)
            boundary *= self.eta
        return found

    def level(self, epoch: int) -> int | None:
        """Return the number of the level at ``epoch``, from 0; None between levels."""
        levels = self.levels(epoch)
        return len(levels) - 1 if levels and levels[-1] == epoch else None


def decide(rules: Rules, earlier: Sequence[Report], report: Report) -> bool:
    """Return whether a trial continues, given the ``earlier`` reports of the same level.

    The first ``eta`` - 1 trials of a level have nothing to be compared with, and continue. A trial with a value that
    is not finite is stopped.
    """
    if not all(np.isfinite(report.values)):
        return False
    others = [r for r in earlier if all(np.isfinite(r.values)) and r.index != report.index]
    compared = [*others, report]
    if len(compared) < rules.eta:
        return True
    places = order(rules, compared)
    better = sum(place < places[-1] for place in places)
    return better < max(1, len(compared) // rules.eta)


def order(rules: Rules, reports: Sequence[Report]) -> list[tuple[int, float]]:
    """Return the place of each report, the smallest is the best; reports of equal values have the same place."""
    costs = np.array([r.values for r in reports], dtype=np.float64) * np.array(rules.signs)  # [n, objectives]
    different, of_report = np.unique(costs, axis=0, return_inverse=True)
    ranks = moocore.pareto_rank(different)
    contributions = _contributions(different, ranks)
    return [(int(ranks[i]), -float(contributions[i])) for i in of_report]


def _contributions(costs: NDArray[np.float64], ranks: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return the contribution of each row to the hypervolume of the rows of its rank, [n].

    Costs are scaled to the unit cube of all rows. The reference point is 0.1 beyond the worst value of each objective.
    """
    low, high = costs.min(axis=0), costs.max(axis=0)
    scaled = (costs - low) / np.where(high > low, high - low, 1.0)
    reference = np.full(costs.shape[1], 1.1)
    contributions = np.zeros(len(costs))
    if costs.shape[1] == 1:  # all rows of a rank are equal
        return contributions
    for rank in np.unique(ranks):
        rows = np.flatnonzero(ranks == rank)
        contributions[rows] = moocore.hv_contributions(scaled[rows], ref=reference)
    return contributions


@dataclass
class Halving:
    """The reports of a sweep by level, and the decisions on them."""

    rules: Rules
    levels: dict[int, list[Report]] = field(default_factory=dict)
    decisions: dict[tuple[int, int], bool] = field(default_factory=dict)
    """By index of the trial and level: whether the trial continued."""

    def reported(self, report: Report) -> bool:
        """Record a report and return whether the trial continues. A repeated report gets the same answer."""
        level = self.rules.level(report.epoch)
        if level is None:
            return True
        known = self.decisions.get((report.index, level))
        if known is not None:
            return known
        continues = decide(self.rules, self.levels.get(level, []), report)
        self.record(report, continues)
        return continues

    def record(self, report: Report, continues: bool) -> None:
        """Record a report whose decision is known, for example from a launch before this one."""
        level = self.rules.level(report.epoch)
        if level is not None and (report.index, level) not in self.decisions:
            self.levels.setdefault(level, []).append(report)
            self.decisions[report.index, level] = continues


def rules_of(directions: Mapping[str, str], *, first: int, eta: int) -> Rules:
    """Return the rules for objectives with these directions: ``{"validation_accuracy": "max", ...}``."""
    signs = tuple(-1.0 if direction == "max" else 1.0 for direction in directions.values())
    return Rules(first, eta, signs)


def replay(rules: Rules, log: Iterable[Report]) -> list[bool]:
    """Return the decision on each report of a log, in its order."""
    halving = Halving(rules)
    return [halving.reported(report) for report in log]
