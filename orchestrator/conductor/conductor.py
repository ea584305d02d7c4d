"""The course of a launch: which trial runs next, and what follows from its outcome. Ray Tune only schedules.

All state comes from the run directory, and every decision is recorded there before it takes effect: a trial's ledger
entry is written before the trial starts. Nothing here depends on Ray.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from orchestrator.conductor import transitions
from orchestrator.conductor.front_keeper import FrontKeeper
from orchestrator.conductor.monitor import Monitor
from orchestrator.conductor.observations import Observation, read_observations
from orchestrator.conductor.shared_work import SharedWork
from orchestrator.conductor.stalls import Stalls
from orchestrator.conductor.standing import Standing
from orchestrator.conductor.time_estimate import Spent, mean_spent, search_share
from orchestrator.schedulers.early_stopping import EarlyStopping
from orchestrator.searchers.base import Searcher
from orchestrator.searchers.proposals import Proposals, make_searcher
from orchestrator.sweep.dimensions import as_text
from orchestrator.sweep.sweep import Sweep
from results import LedgerEntry, RunDirectory
from results.errors import StorageError
from results.states import UNUSABLE, state_of
from results.storage.ledger import Failure
from results.tables.evidence import Evidence

LOOK_AHEAD = 32
"""Trials that may be proposed and wait for others, in order to find one that can start."""

ESTIMATE_FROM = 50
"""Finished trials whose times a launch reads for its estimate of the time left: reading thousands takes seconds."""


class Conductor:
    """Proposes the trials of one launch, follows each to its end, and records both in the ledger.

    The course of a trial: ``next`` starts it, ``reported`` receives its epochs and may stop it, and ``succeeded``,
    ``infeasible`` or ``failed`` ends it. A failed trial may start again.
    """

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
        self.failure: Exception | None = None  # why this launch cannot continue
        self.stalls = Stalls(sweep.resources.stalled_after_s)
        self._entries = {entry.index: entry for entry in directory.read_ledger()}
        standing = Standing.read(sweep, directory)
        self._finished = standing.finished
        self._running: dict[int, LedgerEntry] = {}
        self._shared = SharedWork()
        self._front_keeper = FrontKeeper(sweep, directory, monitor.clock, finished=len(self._finished))
        self._give_up_unusable(standing)
        self._revive(standing.evidence, failed=retry_failed)
        self._next_index = self._first_new_index = transitions.next_index(self._entries.values())
        self._exhausted = False  # the searcher has nothing new to propose
        self._proposals = self._resumed_proposals()
        self._stopping = self._resumed_stopping() if sweep.strategy.scheduler == "halving" else None
        self._queue = deque(transitions.unfinished(self._entries.values(), self._finished))
        states = [
            state_of(e.state, progress=False, points=False, usable=e.key in self._finished)
            for e in self._entries.values()
        ]
        extended = [entry.index for entry in self._entries.values() if entry.key in standing.short]
        monitor.begin(sweep, states, self._earlier_times(), extended)
        for entry in self._entries.values():
            self._forget_config(entry)

    # The course of a trial

    def next(self) -> LedgerEntry | None:
        """Return the trial to start now; None if there is none now, or none at all (see ``done``)."""
        limit = self.sweep.resources.max_concurrent
        if limit is not None and len(self._running) >= limit:
            return None
        entry = self._next_startable()
        if entry is not None:
            self._running[entry.index] = entry
            resumed = entry.index < self._first_new_index or entry.failures
            epochs_done = self._epochs_done(entry) if resumed else 0
            self._shared.started(entry, epochs_done)
            self.monitor.started(entry, epochs_done)
        return entry

    def placed(self, index: int) -> None:
        """Record that an attempt was placed on the cluster."""
        self.monitor.placed(index)
        self.stalls.placed(index)

    def reported(self, index: int, row: Mapping[str, object]) -> bool:
        """Record an epoch by its progress row, and return whether the trial continues."""
        self.monitor.epoch(index, row)
        self.stalls.progressed(index, row.get("epoch_s", 0.0))
        self._shared.reported(index, row)
        if self._stopping is None or index not in self._running:
            return True
        decision = self._stopping.reported(index, row)
        if decision is None:
            return True
        entry = self._running[index] if decision.continues else self._end(index)
        decided = transitions.decided(entry, decision)
        if decided != entry:
            self._record(decided)
        if decision.continues:
            self._running[index] = decided
        else:
            self.monitor.stopped(index)
        return decision.continues

    def succeeded(self, index: int) -> None:
        """Record a trial that has written its points."""
        self._shared.finished(index)
        entry = self._end(index)
        observation = read_observations(self.sweep, self.directory, entry.key).get(entry.key)
        if observation is None:
            self._retry_or_give_up(entry, Failure(message="the trial ended without points"))
            return
        if not observation.objectives:
            self._record_failure(transitions.given_up(entry, Failure(message=UNUSABLE)))
            return
        self._finished.add(entry.key)
        self._tell(self._proposals.searcher, entry, observation)
        self._forget_config(entry)
        self._front_keeper.add(entry.key)
        self.monitor.finished(index)
        self.keep_front()

    def infeasible(self, index: int, reason: str) -> None:
        """Record a trial whose architecture violates a constraint: it is neither trained nor retried."""
        self._record(transitions.infeasible(self._end(index), reason, self.sweep.constraints))
        self.monitor.infeasible(index)

    def failed(self, index: int, failure: Failure) -> None:
        """Record a failed attempt. The trial is retried from its checkpoint, or given up."""
        failure = self.stalls.ended(index) or failure
        if index not in self._running:
            return
        if failure.kind == StorageError.__name__:  # no fault of the trial
            self.abort(StorageError(failure.message))
            return
        key = self._running[index].key
        if self._has_all_points(key):  # it died after its work was done, perhaps before its last step
            self.directory.delete_checkpoints(key)
            self.succeeded(index)
        else:
            self._retry_or_give_up(self._end(index), failure)

    # The course of the launch

    @property
    def done(self) -> bool:
        """Whether nothing runs and nothing is left to start."""
        return not self._running and not self._queue and (self._exhausted or not self._has_budget())

    def keep_front(self) -> None:
        """Refresh the front if trials have finished, at most once a second. Cheap to call often."""
        front = self._front_keeper.refresh(len(self._finished))
        if front is not None:
            self.monitor.front = front

    def abort(self, failure: Exception) -> None:
        """Record that this launch cannot continue."""
        self.failure = self.failure or failure

    def failed_trials(self) -> list[LedgerEntry]:
        """Return the trials that were given up, by index."""
        given_up = [e for e in self._entries.values() if e.state == "failed" and e.key not in self._finished]
        return sorted(given_up, key=lambda entry: entry.index)

    # The state at the start, from the run directory

    def _give_up_unusable(self, standing: Standing) -> None:
        """Record the failures of trials without a usable point: a kill may have come before that."""
        for entry in [e for e in self._entries.values() if e.state == "proposed"]:
            if standing.evidence.state(entry) == "failed" and entry.key not in standing.short:
                self._record(transitions.given_up(entry, Failure(message=UNUSABLE)))

    def _revive(self, evidence: Evidence, *, failed: bool) -> None:
        """Propose again what other constraints had made infeasible, and with ``failed`` what was given up."""
        entries = list(self._entries.values())
        if failed:
            given_up = [entry for entry in entries if evidence.state(entry) == "failed"]
            self.directory.set_aside_points({entry.key for entry in given_up} & evidence.unusable)
            for entry in given_up:
                self._record(transitions.revived(entry))
        for entry in entries:
            if transitions.may_be_feasible(entry, self.sweep.constraints):
                self._record(transitions.revived(entry))

    def _resumed_proposals(self) -> Proposals:
        """Return the proposals after those of the ledger; a searcher that learns is told the finished trials."""
        sweep = self.sweep
        known = {as_text(sweep.assignment(entry.config)) for entry in self._entries.values()}
        proposals = Proposals(make_searcher(sweep), sweep.combinations, known)
        if proposals.searcher.adaptive:
            observations = read_observations(sweep, self.directory)
            for _, entry in sorted(self._entries.items()):
                if entry.key in self._finished and entry.key in observations:
                    self._tell(proposals.searcher, entry, observations[entry.key])
        return proposals

    def _tell(self, searcher: Searcher, entry: LedgerEntry, observation: Observation) -> None:
        assignment = self.sweep.assignment(entry.config)
        searcher.tell(entry.index, assignment, observation.objectives, observation.violations)

    def _resumed_stopping(self) -> EarlyStopping:
        """Return the scheduler with all stored decisions; record what it decides now."""
        stopping = EarlyStopping(self.sweep)
        for index, decision in stopping.rebuild(self.directory, self._entries.values(), self._finished):
            self._record(transitions.decided(self._entries[index], decision))
        return stopping

    def _earlier_times(self) -> Spent | None:
        some = sorted(self._finished)[:ESTIMATE_FROM]
        return mean_spent(self.directory, search_share(self.sweep), some) if some else None

    # The next trial

    def _next_startable(self) -> LedgerEntry | None:
        """Return the first queued or new trial whose search and stages no other trial is running."""
        for position, entry in enumerate(self._queue):
            if self._shared.is_free(entry):
                del self._queue[position]
                return self._with_current_ladder(entry)
        ahead = 0 if self._proposals.searcher.adaptive else LOOK_AHEAD
        while len(self._queue) <= ahead and (proposed := self._propose()) is not None:
            if self._shared.is_free(proposed):
                return proposed
            self._queue.append(proposed)
        return None

    def _propose(self) -> LedgerEntry | None:
        if self._exhausted or not self._has_budget():
            return None
        assignment = self._proposals.next(self._next_index)
        if assignment is None:
            self._exhausted = True
            return None
        entry = transitions.new_entry(self._next_index, self.sweep.config(assignment))
        self._record(entry)
        self._next_index += 1
        return entry

    def _has_budget(self) -> bool:
        return len(self._entries) < self.sweep.budget

    def _with_current_ladder(self, entry: LedgerEntry) -> LedgerEntry:
        """Return the entry with the sweep's ladder, which may have grown since it was proposed."""
        current = transitions.with_ladder(entry, self.sweep.trial.ladder)
        if current != entry:
            self._record(current)
        return current

    def _epochs_done(self, entry: LedgerEntry) -> int:
        return int(self.directory.read_progress(entry.key, ["step"]).num_rows)

    # The end of a trial

    def _end(self, index: int) -> LedgerEntry:
        self.stalls.ended(index)
        self._shared.ended(index)
        return self._running.pop(index)

    def _has_all_points(self, key: str) -> bool:
        return self.directory.has_points(key) and not Standing.read(self.sweep, self.directory, key).short

    def _retry_or_give_up(self, entry: LedgerEntry, failure: Failure) -> None:
        entry = transitions.after_failure(entry, failure, self._epochs_done(entry), self.sweep.retries)
        self._record_failure(entry)
        if entry.state == "proposed":
            self._queue.appendleft(entry)

    def _record_failure(self, entry: LedgerEntry) -> None:
        self._record(entry)
        self.monitor.failed(entry)

    def _record(self, entry: LedgerEntry) -> None:
        self.directory.write_entry(entry)
        self._entries[entry.index] = entry

    def _forget_config(self, entry: LedgerEntry) -> None:
        """Free the configuration of a finished trial: it is on storage, and not needed any more."""
        if entry.key in self._finished and entry.state == "proposed":
            self._entries[entry.index] = entry.model_copy(update={"config": {}})


def is_finished(sweep: Sweep, directory: RunDirectory, *, retry_failed: bool = False) -> bool:
    """Return whether nothing is left to run and, judging by the number of entries, nothing to propose."""
    entries = directory.read_ledger()
    if len(entries) < sweep.budget:
        return False
    standing = Standing.read(sweep, directory)
    if retry_failed and any(standing.evidence.state(entry) == "failed" for entry in entries):
        return False
    if any(transitions.may_be_feasible(entry, sweep.constraints) for entry in entries):
        return False
    return not transitions.unfinished(entries, standing.finished)
