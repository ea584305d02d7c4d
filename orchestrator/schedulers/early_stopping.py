"""Successive halving on the progress rows of a sweep, and its state rebuilt from storage after a kill.

What is decided depends on the order in which the epochs of different trials arrive. No clock tells that order later: so
each decision is stored with it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import cast

from orchestrator.schedulers.halving import Halving, Report, Rules, rules_of
from orchestrator.sweep.sweep import Sweep
from results import LedgerEntry, RunDirectory
from results.record_types import JsonObject, ProgressRow

DECISIONS = "decisions"
"""Key in ``LedgerEntry.extra``: the decisions on the epochs of the trial."""

SEARCH_ONLY = frozenset({"expected_macs", "alpha_entropy", "skip_share"})
"""Progress columns that only the search measures."""

TRAINING_ONLY = frozenset({"effective_macs"})
"""Progress columns that only the training measures."""


def compared_epochs(sweep: Sweep, search: int, training: int) -> list[int]:
    """Return the epochs at which halving compares trials: its levels, where all of its objectives are measured.

    Args:
        sweep: the sweep.
        search: epochs of the search.
        training: epochs of the training; the numbering continues after the search.
    """
    names = set(sweep.strategy.halving.objectives)
    if "peak_bytes" in names and not sweep.resources.gpus_per_worker:
        return []
    held_out = any(name.startswith("validation_") for name in names)
    in_search = not names & TRAINING_ONLY
    in_training = not names & SEARCH_ONLY and (sweep.trial.train.validation_share > 0 or not held_out)
    levels = _rules(sweep).levels(search + training)
    return [epoch for epoch in levels if (in_search if epoch <= search else in_training)]


def _rules(sweep: Sweep) -> Rules:
    config = sweep.strategy.halving
    return rules_of(config.objectives, first=config.first_epochs, eta=config.eta)


@dataclass(frozen=True)
class Decision:
    """What was decided on one epoch of a trial: stored in its ledger entry before it takes effect."""

    epoch: int
    arrival: int
    """Position in the order in which the epochs of all trials arrived, from 0."""
    values: tuple[float, ...]
    """The objectives that were compared."""
    continues: bool

    def to_json(self) -> JsonObject:
        """Return the decision as the ledger holds it."""
        values = [value if math.isfinite(value) else None for value in self.values]
        return asdict(self) | {"values": values}

    @classmethod
    def from_json(cls, stored: JsonObject) -> Decision:
        """Return a decision of the ledger."""
        values = tuple(math.nan if value is None else float(value) for value in stored["values"])
        return cls(int(stored["epoch"]), int(stored["arrival"]), values, bool(stored["continues"]))


class EarlyStopping:
    """Decides after each epoch whether a trial continues. Its state follows from the decisions in the ledger."""

    def __init__(self, sweep: Sweep) -> None:
        self._objectives = tuple(sweep.strategy.halving.objectives)
        self._halving = Halving(_rules(sweep))
        self._decisions: dict[tuple[int, int], Decision] = {}
        self._arrivals = 0

    def reported(self, index: int, row: Mapping[str, object]) -> Decision | None:
        """Decide on a progress row, or return what was decided on it before; None where nothing is compared."""
        report = self._report(index, row)
        if report is None or self._halving.rules.level(report.epoch) is None:
            return None
        known = self._decisions.get((index, report.epoch))
        if known is not None:
            return known
        decision = Decision(report.epoch, self._arrivals, report.values, self._halving.reported(report))
        self._add(index, decision)
        return decision

    def rebuild(
        self, directory: RunDirectory, entries: Collection[LedgerEntry], finished: Collection[str]
    ) -> list[tuple[int, Decision]]:
        """Restore the state, and decide on the epochs that the kill left open: (index of the trial, decision).

        Open is only the last epoch of an unfinished trial, if the kill came before it was reported. Of runs of older
        versions, which did not store decisions, later epochs and the ledger tell what was decided.
        """
        for entry in entries:
            for stored in entry.extra.get(DECISIONS, ()):
                self._add(entry.index, Decision.from_json(stored))
        for (index, epoch), decision in sorted(self._decisions.items(), key=lambda item: item[1].arrival):
            self._halving.record(Report(index, epoch, decision.values), decision.continues)
        names = ["trial_index", "step", *self._objectives]
        rows = cast(
            list[ProgressRow], directory.read_progress(columns=names).to_pylist()
        )  # only these columns
        states = {entry.index: _state(entry, finished) for entry in entries}
        last = {row["trial_index"]: row["step"] for row in rows}  # rows are in the order of steps
        open_rows = []
        for row in rows:
            index, is_last = row["trial_index"], row["step"] == last[row["trial_index"]]
            report = self._report(index, row)
            if report is None or index not in states or (index, report.epoch) in self._decisions:
                continue
            if is_last and states[index] == "unfinished":
                open_rows.append(row)
            else:
                self._halving.record(report, not (is_last and states[index] == "stopped"))
        decided = [(row["trial_index"], self.reported(row["trial_index"], row)) for row in open_rows]
        return [(index, decision) for index, decision in decided if decision is not None]

    def _add(self, index: int, decision: Decision) -> None:
        self._decisions[index, decision.epoch] = decision
        self._arrivals = max(self._arrivals, decision.arrival + 1)

    def _report(self, index: int, row: Mapping[str, object]) -> Report | None:
        """Return the report for halving; None if one of its objectives was not measured in this epoch."""
        values = [row.get(name) for name in self._objectives]
        if any(value is None for value in values):
            return None
        return Report(index, int(cast(int, row["step"])), tuple(map(float, cast(list[float], values))))


def _state(entry: LedgerEntry, finished: Collection[str]) -> str:
    if entry.state == "proposed" and entry.key not in finished:
        return "unfinished"
    return entry.state
