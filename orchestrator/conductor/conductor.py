"""The course of one launch: which trial comes next, and what becomes of it. Tune only schedules.

Everything it knows comes from the run directory, and everything it decides is there before it takes effect:
an entry is written before its trial starts. It knows nothing of Ray.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from orchestrator.conductor import transitions
from orchestrator.conductor.monitor import Monitor
from orchestrator.conductor.shared_searches import Searches
from orchestrator.conductor.time_estimate import mean_spent, search_share
from orchestrator.schedulers.early_stopping import EarlyStopping
from orchestrator.searchers.base import finite
from orchestrator.searchers.proposals import Proposals, make_searcher
from orchestrator.sweep.dimensions import as_text
from orchestrator.sweep.sweep import Sweep
from results import LedgerEntry, RunDirectory, refresh_front
from results.storage.ledger import Failure
from trials.config import Rung

LOOK_AHEAD = 32
"""Trials that may be proposed and wait for a search, while one behind them can start."""

FRONT_EVERY_S = 1.0
"""How often the front is brought up to date at most: it costs as much as many a small trial's records."""

COMPACT_EVERY = 500
"""Trials that finish before the points are compacted again, or a fifth of all: readers open one file, not thousands."""


GUESSED_FROM = 50
"""Finished trials whose times a launch reads to guess the time left: all of thousands would take seconds to read."""


class Conductor:
    """Proposes, records and counts the trials of one launch."""

    def __init__(
        self,
        sweep: Sweep,
        directory: RunDirectory,
        monitor: Monitor,
        *,
        retry_failed: bool = False,
    ) -> None:
        self.sweep = sweep
        self.directory = directory
        self.monitor = monitor
        self.failure: Exception | None = None  # why this launch cannot go on
        self._entries = {entry.index: entry for entry in directory.read_ledger()}
        self._finished = directory.finished_keys() - short_ladders(sweep, directory)
        for entry in [e for e in self._entries.values() if retry_failed and e.state == "failed"]:
            self._record(transitions.revived(entry))
        self._queue = deque(transitions.unfinished(self._entries.values(), self._finished))
        self._running: dict[int, LedgerEntry] = {}
        self._searches = Searches()
        self._not_in_front: set[str] = set()
        self._loose = len(self._finished)  # trials whose points may have files of their own only
        self._front_at: float | None = (
            None  # a launch's first front is made anew: the last may have been killed
        )
        self._exhausted = False
        self._next_index = self._first_new = transitions.next_index(self._entries.values())
        known = {entry.index: sweep.assignment(entry.config) for entry in self._entries.values()}
        self._proposals = Proposals(
            make_searcher(sweep), sweep.combinations, {as_text(assignment) for assignment in known.values()}
        )
        if self._proposals.searcher.adaptive:
            points = _told(sweep, directory)
            for index in sorted(known):
                key = self._entries[index].key
                told = points.get(key, []) if key in self._finished else []
                self._tell(index, known[index], finite(told, len(sweep.objectives)))
        self._stopping = self._rebuilt_stopping() if sweep.strategy.scheduler == "halving" else None
        some = sorted(self._finished)[:GUESSED_FROM]
        spent = mean_spent(directory, search_share(sweep), some) if some else None
        monitor.begin(sweep, self._entries.values(), self._finished, spent)
        for entry in self._entries.values():
            self._slim(entry)

    def next(self) -> LedgerEntry | None:
        """Return the trial to start now; None when there is none, for now or for good (see ``done``)."""
        limit = self.sweep.resources.max_concurrent
        if limit is not None and len(self._running) >= limit:
            return None
        entry = self._startable()
        if entry is not None:
            self._running[entry.index] = entry
            begun = entry.index < self._first_new or entry.failures
            done = self._epochs_done(entry) if begun else 0
            self._searches.started(entry, done)
            self.monitor.started(entry, done)
        return entry

    @property
    def done(self) -> bool:
        """Say whether nothing runs and nothing is left to start."""
        return not self._running and not self._queue and (self._exhausted or not self._room())

    def reported(self, index: int, row: dict[str, Any]) -> bool:
        """Take note of an epoch; return whether the trial goes on."""
        self.monitor.epoch(index, row)
        if row.get("phase") != "search":
            self._searches.finished(index)
        if self._stopping is None or index not in self._running or self._stopping.reported(index, row):
            return True
        self._record(transitions.stopped(self._leave(index)))
        self.monitor.stopped(index)
        return False

    def succeeded(self, index: int) -> None:
        """Take note of a trial that has left its points."""
        self._searches.finished(index)
        entry = self._leave(index)
        points = _told(self.sweep, self.directory, entry.key).get(entry.key)
        if points is None:
            self._failed(entry, Failure(message="the trial ended without points"))
            return
        self._finished.add(entry.key)
        usable = finite(points, len(self.sweep.objectives))
        if not usable:
            self._give_up(entry, Failure(message="no point has finite objectives"))
            return
        if self._proposals.searcher.adaptive:
            self._tell(index, self.sweep.assignment(entry.config), usable)
        self._slim(entry)
        self._not_in_front.add(entry.key)
        self.monitor.finished(index)
        self.keep_front()

    def keep_front(self) -> None:
        """Bring the front up to date, unless it has just been or nothing has finished since; compact now and then."""
        now, last = self.monitor.clock(), self._front_at
        if not self._not_in_front or (last is not None and now - last < FRONT_EVERY_S):
            return
        keys = None if last is None else self._not_in_front
        self.monitor.front = refresh_front(
            self.directory, self.sweep.objectives, keys, constraints=self.sweep.bounds
        )
        self._loose += len(self._not_in_front)
        if self._loose >= max(COMPACT_EVERY, len(self._finished) // 5):
            self.directory.compact(at_least=COMPACT_EVERY)
            self._loose = 0
        self._not_in_front, self._front_at = set(), self.monitor.clock()

    def infeasible(self, index: int, reason: str) -> None:
        """Take note of a trial whose architecture breaks a constraint: it is not trained, and not run again."""
        self._record(transitions.infeasible(self._leave(index), reason))
        self.monitor.infeasible(index)

    def failed(self, index: int, failure: Failure) -> None:
        """Take note of a failed attempt: the trial is tried again from its checkpoint, or given up."""
        if index not in self._running:
            return
        if self._has_left_its_points(self._running[index].key):  # it died after its work was done
            self.succeeded(index)
        else:
            self._failed(self._leave(index), failure)

    def abort(self, failure: Exception) -> None:
        """Take note that this launch cannot go on."""
        self.failure = self.failure or failure

    def _tell(self, index: int, assignment: Any, usable: list[list[Any]]) -> None:
        """Tell the searcher of a trial: the objectives of its points, and how far each breaks each constraint."""
        count, bounds = len(self.sweep.objectives), self.sweep.bounds
        violations = [
            [bound.violation(value) for bound, value in zip(bounds, point[count:], strict=True)]
            for point in usable
        ]
        objectives = [[float(value) for value in point[:count]] for point in usable]
        self._proposals.searcher.tell(index, assignment, objectives, violations)

    def _has_left_its_points(self, key: str) -> bool:
        return self.directory.has_points(key) and key not in short_ladders(self.sweep, self.directory, key)

    def _rebuilt_stopping(self) -> EarlyStopping:
        stopping = EarlyStopping(self.sweep)
        for index in stopping.rebuild(self.directory, self._entries.values(), self._finished):
            self._record(transitions.stopped(self._entries[index]))
        self._queue = deque(transitions.unfinished(self._entries.values(), self._finished))
        return stopping

    def _room(self) -> bool:
        return len(self._entries) < self.sweep.budget

    def _leave(self, index: int) -> LedgerEntry:
        self._searches.left(index)
        return self._running.pop(index)

    def _startable(self) -> LedgerEntry | None:
        """Return the first trial, of those that wait and those to be proposed, whose search nobody else is doing."""
        for place, entry in enumerate(self._queue):
            if self._searches.is_free(entry):
                del self._queue[place]
                return self._with_ladder(entry)
        ahead = 0 if self._proposals.searcher.adaptive else LOOK_AHEAD
        while len(self._queue) <= ahead and (proposed := self._proposed()) is not None:
            if self._searches.is_free(proposed):
                return proposed
            self._queue.append(proposed)
        return None

    def _epochs_done(self, entry: LedgerEntry) -> int:
        """Return how many epochs the attempts at a trial have left."""
        return int(self.directory.read_progress(entry.key, ["step"]).num_rows)

    def _with_ladder(self, entry: LedgerEntry) -> LedgerEntry:
        """Return a trial that waited, with the ladder that the sweep has now."""
        current = transitions.with_ladder(entry, self.sweep.trial.ladder)
        if current != entry:
            self._record(current)
        return current

    def _proposed(self) -> LedgerEntry | None:
        if self._exhausted or not self._room():
            return None
        assignment = self._proposals.next(self._next_index)
        if assignment is None:
            self._exhausted = True
            return None
        entry = transitions.new_entry(self._next_index, self.sweep.config(assignment))
        self._record(entry)
        self._next_index += 1
        return entry

    def _record(self, entry: LedgerEntry) -> None:
        self.directory.write_entry(entry)
        self._entries[entry.index] = entry

    def _slim(self, entry: LedgerEntry) -> None:
        """Let go of the configuration of a finished trial: it is on storage, and nobody asks for it."""
        if entry.key in self._finished and entry.state == "proposed":
            self._entries[entry.index] = entry.model_copy(update={"config": {}})

    def _give_up(self, entry: LedgerEntry, failure: Failure) -> None:
        entry = entry.model_copy(update={"state": "failed", "failures": [*entry.failures, failure]})
        self._record(entry)
        self.monitor.failed(entry)

    def _failed(self, entry: LedgerEntry, failure: Failure) -> None:
        entry = transitions.after_failure(entry, failure, self._epochs_done(entry), self.sweep.retries)
        self._record(entry)
        if entry.state == "proposed":
            self._queue.appendleft(entry)
        self.monitor.failed(entry)

    def failed_trials(self) -> list[LedgerEntry]:
        """Return the trials that were given up, by index."""
        given_up = [entry for entry in self._entries.values() if entry.state == "failed"]
        return sorted(given_up, key=lambda entry: entry.index)


def is_finished(sweep: Sweep, directory: RunDirectory, *, retry_failed: bool = False) -> bool:
    """Say whether nothing is left to run and, as far as can be told, nothing to propose."""
    entries = directory.read_ledger()
    if len(entries) < sweep.budget or (retry_failed and any(e.state == "failed" for e in entries)):
        return False
    return not transitions.unfinished(entries, directory.finished_keys() - short_ladders(sweep, directory))


def short_ladders(sweep: Sweep, directory: RunDirectory, key: str | None = None) -> set[str]:
    """Return the keys of the trials (or the one trial) whose points lack a rung of the sweep's ladder."""
    names = list(Rung.model_fields)
    table = directory.read_points(key, ["trial_key", *names])
    there: dict[str, set[tuple[Any, ...]]] = {}
    columns = [table[name].to_pylist() for name in names]
    for trial, *rung in zip(table["trial_key"].to_pylist(), *columns, strict=True):
        there.setdefault(trial, set()).add(tuple(rung))
    wanted = {tuple(rung.model_dump()[name] for name in names) for rung in sweep.trial.ladder.rungs()}
    return {trial for trial, rungs in there.items() if not wanted <= rungs}


def _told(sweep: Sweep, directory: RunDirectory, key: str | None = None) -> dict[str, list[list[Any]]]:
    """Return what a searcher is told of every point, by trial, in the order of the ladder.

    First the objectives, then the columns that are bounded, one for each constraint.
    """
    names = [*sweep.objectives, *(bound.column for bound in sweep.bounds)]
    table = directory.read_points(key, list(dict.fromkeys(["trial_key", *names])))
    points: dict[str, list[list[Any]]] = {}
    columns = [table[name].to_pylist() for name in names]
    for trial_key, *values in zip(table["trial_key"].to_pylist(), *columns, strict=True):
        points.setdefault(trial_key, []).append(values)
    return points
