"""The state of a launch for its display: counts, running trials and the time left. The clock is injected."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

import pyarrow as pa

from orchestrator.conductor.time_estimate import Spent, seconds_left
from orchestrator.sweep.sweep import Sweep
from results import LedgerEntry
from results.states import TrialState
from results.tables.trials import configured_epochs


@dataclass
class Running:
    """A trial that was handed to the cluster and has not ended."""

    index: int
    epochs: int
    """Epochs of all phases."""
    step: int = 0
    """Finished epochs."""
    phase: str = "waiting"
    row: Mapping[str, object] = field(default_factory=dict)
    """The latest progress row."""
    placed_at: float | None = None
    """When it was placed on the cluster; None while it waits, and for a trial that was resumed from a checkpoint."""
    epoch_at: float | None = None
    """When its latest epoch was reported."""


def phase_now(last: str, done: int, epochs: int | None) -> str:
    """Return the current phase of a trial: that of its last epoch, or the ladder if all ``epochs`` are done."""
    return "ladder" if epochs is not None and done >= epochs else last


@dataclass
class Mean:
    """A running mean."""

    value: float = 0.0
    count: int = 0

    def add(self, value: float) -> None:
        """Include one more value."""
        self.count += 1
        self.value += (value - self.value) / self.count


@dataclass
class Monitor:
    """Counts trials and epochs, and estimates the time left."""

    clock: Callable[[], float] = time.monotonic
    total: int = 0
    finished_count: int = 0
    failed_count: int = 0
    stopped_count: int = 0
    infeasible_count: int = 0
    running: dict[int, Running] = field(default_factory=dict)
    front: pa.Table | None = None
    objectives: dict[str, str] = field(default_factory=dict)
    name: str = ""
    extended: set[int] = field(default_factory=set)
    """Indices of trained trials whose ladder has grown, and is not evaluated yet."""
    events: list[str] = field(default_factory=list)
    """One line for each failed attempt, and for what a trial waits for, oldest first."""
    _epochs: float = 1.0  # of one trial, as the sweep configures them
    _trial_s: Mean = field(default_factory=Mean)
    _ladder_s: Mean = field(default_factory=Mean)

    def begin(
        self,
        sweep: Sweep,
        states: Iterable[TrialState],
        spent: Spent | None = None,
        extended: Iterable[int] = (),
    ) -> None:
        """Record the state at the start of a launch.

        Args:
            sweep: the sweep.
            states: of the trials of the ledger.
            spent: mean seconds of trials that finished in earlier launches.
            extended: indices of trained trials whose ladder has grown since.
        """
        self.extended = set(extended)
        counts = Counter(states)
        self.name, self.objectives = sweep.name, dict(sweep.objectives)
        self.total = max(sweep.budget, counts.total())
        self.finished_count = counts["finished"]
        self.failed_count = counts["failed"]
        self.stopped_count = counts["stopped"]
        self.infeasible_count = counts["infeasible"]
        self._epochs = sweep.trial.epochs
        if spent is not None:
            finished = self.finished_count
            self._trial_s, self._ladder_s = Mean(sum(spent), finished), Mean(spent.ladder, finished)

    def started(self, entry: LedgerEntry, epochs_done: int = 0) -> None:
        """Record an attempt that was handed to the cluster, and continues after ``epochs_done`` epochs."""
        epochs = configured_epochs(entry.config) or 0
        self.running[entry.index] = Running(entry.index, epochs, epochs_done)

    def placed(self, index: int) -> None:
        """Record that an attempt was placed on the cluster."""
        running = self.running.get(index)
        if running is not None:
            running.phase = "starting"
            running.placed_at = None if running.step else self.clock()

    def epoch(self, index: int, row: Mapping[str, object]) -> None:
        """Record an epoch by its progress row."""
        running = self.running.get(index)
        if running is not None:
            running.epoch_at = self.clock()
            running.step = int(cast(int, row.get("step", running.step + 1)))
            running.phase = phase_now(str(row.get("phase", running.phase)), running.step, running.epochs)
            running.row = row

    def waits(self, index: int, text: str) -> None:
        """Record that a trial waits, such as for storage."""
        event = f"trial {index} waits: {text}"
        if event not in self.events:
            self.events.append(event)

    def finished(self, index: int) -> None:
        """Record a finished trial."""
        running = self.running.pop(index, None)
        self.extended.discard(index)
        self.finished_count += 1
        now = self.clock()
        if running is not None and running.placed_at is not None:
            self._trial_s.add(now - running.placed_at)
        if running is not None and running.epoch_at is not None:
            self._ladder_s.add(now - running.epoch_at)

    def stopped(self, index: int) -> None:
        """Record a trial that was stopped early."""
        self.running.pop(index, None)
        self.stopped_count += 1

    def infeasible(self, index: int) -> None:
        """Record a trial whose architecture violates a constraint."""
        self.running.pop(index, None)
        self.infeasible_count += 1

    def failed(self, entry: LedgerEntry) -> None:
        """Record a failed attempt."""
        self.running.pop(entry.index, None)
        if entry.state == "failed":
            self.extended.discard(entry.index)
        reason = str(entry.failures[-1]).splitlines()[0] if entry.failures else ""
        if entry.state == "failed":
            self.failed_count += 1
            self.events.append(f"trial {entry.index} failed for good: {reason}")
        else:
            self.events.append(f"trial {entry.index} failed and is tried again: {reason}")

    @property
    def placed_trials(self) -> list[Running]:
        """The trials that are placed on the cluster, by index."""
        placed = [trial for trial in list(self.running.values()) if trial.phase != "waiting"]
        return sorted(placed, key=lambda trial: trial.index)

    @property
    def settled(self) -> int:
        """The number of trials that need nothing more."""
        return self.finished_count + self.failed_count + self.stopped_count + self.infeasible_count

    def seconds_left(self) -> float | None:
        """Return the estimated time left, in seconds; None until the first epoch is known."""
        placed = self.placed_trials
        return seconds_left(
            [max(0, trial.epochs - trial.step) for trial in placed],
            [cast(float, trial.row["epoch_s"]) for trial in placed if trial.row.get("epoch_s")],
            len(placed),
            max(0, self.total - self.settled - len(placed)),
            self._epochs,
            self._trial_s.value if self._trial_s.count else None,
            self._ladder_s.value,
        )
