"""What a launch has come to so far, for whoever watches it. Knows the clock only as it is handed in."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from orchestrator.sweep import Sweep
from results import LedgerEntry


@dataclass
class Running:
    """A trial under way."""

    index: int
    epochs: int
    step: int = 0
    phase: str = "waiting"
    row: dict[str, Any] = field(default_factory=dict)


def phase_now(last: str, done: int, epochs: int | None) -> str:
    """Return what a trial does now: the phase of its last epoch, or the ladder when it has done them all."""
    return "ladder" if epochs is not None and done >= epochs else last


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
    _began: float | None = None
    _epochs_seen: int = 0
    _mean_epochs: float = 1.0

    def begin(self, sweep: Sweep, entries: Iterable[LedgerEntry], finished: Collection[str]) -> None:
        """Take note of where a launch starts."""
        entries = list(entries)
        self.name, self.objectives = sweep.name, dict(sweep.objectives)
        self.total = max(sweep.budget, len(entries))
        self.finished_count = sum(e.key in finished and e.state != "failed" for e in entries)
        self.failed_count = sum(e.state == "failed" for e in entries)
        self.stopped_count = sum(e.state == "stopped" and e.key not in finished for e in entries)
        self.infeasible_count = sum(e.state == "infeasible" for e in entries)
        self._mean_epochs = sweep.trial.search.epochs + sweep.trial.train.epochs

    def started(self, entry: LedgerEntry) -> None:
        """Take note of an attempt that was handed to the cluster."""
        epochs = entry.config["search"]["epochs"] + entry.config["train"]["epochs"]
        self.running[entry.index] = Running(entry.index, epochs)

    def epoch(self, index: int, row: dict[str, Any]) -> None:
        """Take note of an epoch."""
        self._began = self._began if self._began is not None else self.clock()
        running = self.running.get(index)
        if running is not None:
            self._epochs_seen += 1
            running.step = int(row.get("step", running.step + 1))
            running.phase = phase_now(str(row.get("phase", running.phase)), running.step, running.epochs)
            running.row = row

    def finished(self, index: int) -> None:
        """Take note of a trial that has left its points."""
        running = self.running.pop(index, None)
        self.finished_count += 1
        if running is not None:
            self._mean_epochs += (running.epochs - self._mean_epochs) / max(1, self.finished_count)

    def placed(self, index: int) -> None:
        """Take note of an attempt that has got its place on the cluster."""
        if index in self.running:
            self.running[index].phase = "starting"

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
        reason = entry.failures[-1].splitlines()[0] if entry.failures else ""
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
        """Guess the time left from the epochs seen so far; None while there is nothing to go by."""
        if self._began is None or self._epochs_seen < 2:
            return None
        elapsed = self.clock() - self._began
        under_way = sum(max(0, r.epochs - r.step) for r in self.running.values())
        waiting = max(0, self.total - self.settled - len(self.running))
        return (under_way + waiting * self._mean_epochs) * elapsed / self._epochs_seen
