"""What a launch has come to so far, for whoever watches it. Knows the clock only as it is handed in."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from orchestrator.conductor.time_estimate import Spent, seconds_left
from orchestrator.sweep.sweep import Sweep
from results import LedgerEntry


@dataclass
class Running:
    """A trial under way."""

    index: int
    epochs: int
    step: int = 0
    phase: str = "waiting"
    row: dict[str, Any] = field(default_factory=dict)
    placed_at: float | None = None
    """When it got its place; None while it waits, and for one that went on where an attempt before had ended."""
    epoch_at: float | None = None
    """When its last epoch was reported."""


def phase_now(last: str, done: int, epochs: int | None) -> str:
    """Return what a trial does now: the phase of its last epoch, or the ladder when it has done them all."""
    return "ladder" if epochs is not None and done >= epochs else last


@dataclass
class Mean:
    """The mean of what was seen so far."""

    value: float = 0.0
    count: int = 0

    def see(self, value: float) -> None:
        """Take in one more."""
        self.count += 1
        self.value += (value - self.value) / self.count


@dataclass
class Monitor:
    """Counts trials and epochs, and guesses the time left."""

    clock: Callable[[], float] = time.monotonic
    total: int = 0
    finished_count: int = 0
    failed_count: int = 0
    stopped_count: int = 0
    infeasible_count: int = 0
    running: dict[int, Running] = field(default_factory=dict)
    front: Any = None
    objectives: dict[str, str] = field(default_factory=dict)
    name: str = ""
    events: list[str] = field(default_factory=list)
    _epochs: float = 1.0  # of a trial, as the sweep has them
    _trial_s: Mean = field(default_factory=Mean)
    _ladder_s: Mean = field(default_factory=Mean)

    def begin(
        self,
        sweep: Sweep,
        entries: Iterable[LedgerEntry],
        finished: Collection[str],
        spent: Spent | None = None,
    ) -> None:
        """Take note of where a launch starts; ``spent``: what finished trials took in launches before it."""
        entries = list(entries)
        self.name, self.objectives = sweep.name, dict(sweep.objectives)
        self.total = max(sweep.budget, len(entries))
        self.finished_count = sum(e.key in finished and e.state != "failed" for e in entries)
        self.failed_count = sum(e.state == "failed" for e in entries)
        self.stopped_count = sum(e.state == "stopped" and e.key not in finished for e in entries)
        self.infeasible_count = sum(e.state == "infeasible" for e in entries)
        self._epochs = sweep.trial.search.epochs + sweep.trial.train.epochs
        if spent is not None:
            self._trial_s, self._ladder_s = Mean(sum(spent), len(finished)), Mean(spent.ladder, len(finished))

    def started(self, entry: LedgerEntry, epochs_done: int = 0) -> None:
        """Take note of an attempt that was handed to the cluster, to go on after ``epochs_done``."""
        epochs = entry.config["search"]["epochs"] + entry.config["train"]["epochs"]
        self.running[entry.index] = Running(entry.index, epochs, epochs_done)

    def epoch(self, index: int, row: dict[str, Any]) -> None:
        """Take note of an epoch."""
        running = self.running.get(index)
        if running is not None:
            running.epoch_at = self.clock()
            running.step = int(row.get("step", running.step + 1))
            running.phase = phase_now(str(row.get("phase", running.phase)), running.step, running.epochs)
            running.row = row

    def finished(self, index: int) -> None:
        """Take note of a trial that has left its points."""
        running = self.running.pop(index, None)
        self.finished_count += 1
        now = self.clock()
        if running is not None and running.placed_at is not None:
            self._trial_s.see(now - running.placed_at)
        if running is not None and running.epoch_at is not None:
            self._ladder_s.see(now - running.epoch_at)

    def placed(self, index: int) -> None:
        """Take note of an attempt that has got its place on the cluster."""
        running = self.running.get(index)
        if running is not None:
            running.phase = "starting"
            running.placed_at = None if running.step else self.clock()

    def stopped(self, index: int) -> None:
        """Take note of a trial that was stopped early."""
        self.running.pop(index, None)
        self.stopped_count += 1

    def infeasible(self, index: int) -> None:
        """Take note of a trial whose architecture breaks a constraint."""
        self.running.pop(index, None)
        self.infeasible_count += 1

    def failed(self, entry: LedgerEntry) -> None:
        """Take note of a failed attempt."""
        self.running.pop(entry.index, None)
        reason = str(entry.failures[-1]).splitlines()[0] if entry.failures else ""
        if entry.state == "failed":
            self.failed_count += 1
            self.events.append(f"trial {entry.index} failed for good: {reason}")
        else:
            self.events.append(f"trial {entry.index} failed and is tried again: {reason}")

    @property
    def placed_trials(self) -> list[Running]:
        """The trials that have their place on the cluster, by index."""
        placed = [trial for trial in list(self.running.values()) if trial.phase != "waiting"]
        return sorted(placed, key=lambda trial: trial.index)

    @property
    def settled(self) -> int:
        """How many trials need nothing more."""
        return self.finished_count + self.failed_count + self.stopped_count + self.infeasible_count

    def seconds_left(self) -> float | None:
        """Guess the time left; None while there is nothing to go by."""
        placed = self.placed_trials
        return seconds_left(
            [max(0, trial.epochs - trial.step) for trial in placed],
            [trial.row["epoch_s"] for trial in placed if trial.row.get("epoch_s")],
            len(placed),
            max(0, self.total - self.settled - len(placed)),
            self._epochs,
            self._trial_s.value if self._trial_s.count else None,
            self._ladder_s.value,
        )
