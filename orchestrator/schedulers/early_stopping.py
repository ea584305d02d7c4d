"""Successive halving over the progress rows of a sweep, and how it is rebuilt from them after a kill."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from orchestrator.schedulers.halving import Halving, Report, Rules, rules_of
from orchestrator.sweep.sweep import Sweep
from results import LedgerEntry, RunDirectory

SEARCH_ONLY = frozenset({"expected_macs", "alpha_entropy", "skip_share"})
TRAINING_ONLY = frozenset({"effective_macs"})
"""Columns of the progress that one phase alone measures."""


def compared_epochs(sweep: Sweep, search: int, training: int) -> list[int]:
    """Return the epochs, over both phases, at which halving compares trials of so many epochs of search and training.

    They are its levels, where all of its objectives are measured.
    """
    names = set(sweep.strategy.halving.objectives)
    held_out = any(name.startswith("validation_") for name in names)
    in_search = not names & TRAINING_ONLY
    in_training = not names & SEARCH_ONLY and (sweep.trial.train.validation_share > 0 or not held_out)
    rules = _rules(sweep)
    epochs = range(1, search + training + 1)
    return [e for e in epochs if rules.level(e) is not None and (in_search if e <= search else in_training)]


def _rules(sweep: Sweep) -> Rules:
    config = sweep.strategy.halving
    return rules_of(config.objectives, first=config.first_epochs, eta=config.eta, seed=sweep.seed)


class EarlyStopping:
    """Says at each epoch whether a trial goes on. Its state is what the progress files and the ledger say."""

    def __init__(self, sweep: Sweep) -> None:
        self._names = tuple(sweep.strategy.halving.objectives)
        self._halving = Halving(_rules(sweep))

    def reported(self, index: int, row: Mapping[str, Any]) -> bool:
        """Take note of a progress row; return whether the trial goes on."""
        report = self._report(index, row)
        return True if report is None else self._halving.reported(report)

    def rebuild(
        self, directory: RunDirectory, entries: Collection[LedgerEntry], finished: Collection[str]
    ) -> list[int]:
        """Read every report back, in the order in which they were made; return who has to stop.

        What a trial has got past was decided then. Only the last epoch of a trial under way may have been
        reported to nobody, or stopped without a note in the ledger: that is decided now, from the same reports.
        """
        columns = ["trial_index", "step", "at", *self._names]
        rows = directory.read_progress(columns=columns).sort_by(
            [("at", "ascending"), ("trial_index", "ascending")]
        )
        states = {entry.index: _state(entry, finished) for entry in entries}
        last: dict[int, int] = {}
        for row in rows.select(["trial_index", "step"]).to_pylist():
            last[row["trial_index"]] = max(row["step"], last.get(row["trial_index"], 0))
        return list(self._replayed(rows.to_pylist(), states, last))

    def _replayed(
        self, rows: Iterable[Mapping[str, Any]], states: Mapping[int, str], last: Mapping[int, int]
    ) -> Iterable[int]:
        for row in rows:
            index = row["trial_index"]
            report = self._report(index, row)
            if report is None or index not in states:
                continue
            newest = row["step"] == last[index]
            if newest and states[index] == "under way":
                if not self._halving.reported(report):
                    yield index
            else:
                self._halving.remember(report, not (newest and states[index] == "stopped"))

    def _report(self, index: int, row: Mapping[str, Any]) -> Report | None:
        """Return what halving looks at; None for an epoch without all of its objectives."""
        values = [row.get(name) for name in self._names]
        if any(value is None for value in values):
            return None
        return Report(index, int(row["step"]), tuple(float(value) for value in values if value is not None))


def _state(entry: LedgerEntry, finished: Collection[str]) -> str:
    if entry.state == "proposed" and entry.key not in finished:
        return "under way"
    return entry.state
