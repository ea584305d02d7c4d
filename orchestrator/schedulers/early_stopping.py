"""Successive halving on the progress rows of a sweep, and its state rebuilt from storage after a kill."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import cast

from orchestrator.schedulers.halving import Halving, Report, Rules, rules_of
from orchestrator.sweep.sweep import Sweep
from results import LedgerEntry, RunDirectory
from results.record_types import ProgressRow

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
    """Decides after each epoch whether a trial continues. Its state follows from progress files and ledger."""

    def __init__(self, sweep: Sweep) -> None:
        self._objectives = tuple(sweep.strategy.halving.objectives)
        self._halving = Halving(_rules(sweep))

    def reported(self, index: int, row: Mapping[str, object]) -> bool:
        """Record a progress row and return whether the trial continues."""
        report = self._report(index, row)
        return True if report is None else self._halving.reported(report)

    def rebuild(
        self, directory: RunDirectory, entries: Collection[LedgerEntry], finished: Collection[str]
    ) -> list[int]:
        """Replay all stored reports in their original order; return the indices of the trials to stop now.

        A trial that has later epochs was allowed to continue. Only the last epoch of an unfinished trial is open: the
        kill may have come before it was reported, or before the stop was written to the ledger. It is decided now,
        from the same reports.
        """
        columns = ["trial_index", "step", "at", *self._objectives]
        table = directory.read_progress(columns=columns)
        in_order = table.sort_by([("at", "ascending"), ("trial_index", "ascending")])
        rows = cast(list[ProgressRow], in_order.to_pylist())  # with these columns only
        states = {entry.index: _state(entry, finished) for entry in entries}
        last_step: dict[int, int] = {}
        for row in rows:
            last_step[row["trial_index"]] = max(row["step"], last_step.get(row["trial_index"], 0))
        return list(self._replay(rows, states, last_step))

    def _replay(
        self,
        rows: Iterable[ProgressRow],
        states: Mapping[int, str],
        last_step: Mapping[int, int],
    ) -> Iterator[int]:
        for row in rows:
            index = row["trial_index"]
            report = self._report(index, row)
            if report is None or index not in states:
                continue
            is_last = row["step"] == last_step[index]
            if is_last and states[index] == "unfinished":
                if not self._halving.reported(report):
                    yield index
            else:
                self._halving.record(report, not (is_last and states[index] == "stopped"))

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
