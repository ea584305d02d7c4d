"""What a run has come to, from its files alone: while it runs, from another machine, or the morning after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from orchestrator.conductor.lease import shows_life
from orchestrator.conductor.monitor import phase_now
from orchestrator.conductor.time_estimate import Spent, mean_spent, search_share, seconds_left
from orchestrator.errors import SweepError
from orchestrator.preflight.plan import mean_epochs
from orchestrator.sweep.sweep import Sweep
from results import Run, RunDirectory
from results.states import SETTLED

QUIET_S = 120.0
"""A trial that has left nothing for so long, and for ten of its epochs, is not counted among the living."""


@dataclass(frozen=True)
class Working:
    """A trial under way, as its last epoch left it."""

    index: int
    phase: str
    done: int
    epochs: int | None
    accuracy: float | None
    """Of the held-out images where they were looked at, else of the training images."""
    host: str
    epoch_s: float
    quiet_s: float
    """Time since its last epoch was written."""

    @property
    def alive(self) -> bool:
        """Say whether it has shown itself lately."""
        return self.quiet_s < max(QUIET_S, 10 * self.epoch_s)


@dataclass(frozen=True)
class Status:
    """The state of a run."""

    name: str
    total: int
    """Trials that the sweep asks for."""
    counts: dict[str, int]
    """Trials by state, see ``results.states``."""
    working: list[Working] = field(default_factory=list)
    failed: list[tuple[int, str]] = field(default_factory=list)
    """Trials given up, and why."""
    retried: list[tuple[int, str]] = field(default_factory=list)
    """Trials under way again after a failed attempt, and why it failed."""
    front: int | None = None
    """Points on the front; None as long as there is none."""
    seconds_left: float | None = None
    """A guess; None where there is nothing to go by."""
    launch: str | None = None
    """The launch that works on it, by its lease; None when there is none, or it has not been heard of for long."""
    broken: list[str] = field(default_factory=list)
    """Files that could not be read, and why."""

    @property
    def settled(self) -> int:
        """How many trials need nothing more."""
        return _settled(self.counts)

    @property
    def complete(self) -> bool:
        """Say whether nothing is left to do."""
        return self.settled >= self.total


def read_status(run: Run, now: datetime | None = None) -> Status:
    """Read the state of a single run from its files."""
    directory, now = run.directory, now or datetime.now(UTC)
    trials = run.trials()
    counts = {str(state): int(n) for state, n in trials["state"].value_counts().items() if n}
    working = _working(directory, trials[trials["state"] == "running"], now)
    budget, share, epochs = _asked_for(run)
    total = max(budget or 0, len(trials))
    waiting = total - _settled(counts) - len(working)
    stored = directory.read_front()
    return Status(
        name=str(run.sweep().get("name") or directory.uri),
        total=total,
        counts=counts,
        working=working,
        failed=_reasons(trials[trials["state"] == "failed"]),
        retried=_reasons(trials[trials["state"].isin(["running", "proposed"])]),
        front=None if stored is None else stored.num_rows,
        seconds_left=_seconds_left(
            working, waiting, epochs or _mean_epochs(trials), mean_spent(directory, share)
        ),
        launch=_launch(directory, now),
        broken=[f"{problem.path}: {problem.reason}" for problem in run.problems()],
    )


def _settled(counts: Mapping[str, int]) -> int:
    return sum(counts.get(state, 0) for state in SETTLED)


def _launch(directory: RunDirectory, now: datetime) -> str | None:
    lease = directory.read_lease()
    return str(lease) if lease is not None and shows_life(lease, now) else None


def _asked_for(run: Run) -> tuple[int | None, float, float | None]:
    """Return the sweep's budget, the share of its trials that search, and the epochs that a trial takes in the mean.

    Nothing where the sweep's file is of other times.
    """
    try:
        sweep = Sweep.from_mapping(run.sweep())
    except SweepError:
        return None, 1.0, None
    share = search_share(sweep)
    of_search, of_training = mean_epochs(sweep)
    return sweep.budget, share, share * of_search + of_training


def _working(directory: RunDirectory, running: pd.DataFrame, now: datetime) -> list[Working]:
    names = ["trial_key", "accuracy", "validation_accuracy", "epoch_s"]
    table = directory.read_progress(running["trial_key"].tolist(), names) if len(running) else None
    last = {row["trial_key"]: row for row in table.to_pylist()} if table is not None else {}
    found = []
    for trial in running.to_dict("records"):
        row: dict[str, Any] = last.get(trial["trial_key"], {})
        held_out = row.get("validation_accuracy")
        epochs = None if pd.isna(trial["epochs"]) else int(trial["epochs"])
        found.append(
            Working(
                index=trial["trial_index"],
                phase=phase_now(trial["phase"], trial["epochs_done"], epochs),
                done=trial["epochs_done"],
                epochs=epochs,
                accuracy=row.get("accuracy") if held_out is None else held_out,
                host=trial["host"],
                epoch_s=float(row.get("epoch_s") or 0.0),
                quiet_s=max(0.0, (now - trial["last_at"]).total_seconds()),
            )
        )
    return found


def _seconds_left(
    working: Sequence[Working], waiting: int, epochs: float, spent: Spent | None
) -> float | None:
    """Guess the time left, shared among the trials that are alive."""
    alive = [trial for trial in working if trial.alive and trial.epoch_s > 0]
    return seconds_left(
        [max(0, (trial.epochs or trial.done) - trial.done) for trial in working],
        [trial.epoch_s for trial in alive],
        len(alive),
        waiting,
        epochs,
        None if spent is None else sum(spent),
        0.0 if spent is None else spent.ladder,
    )


def _mean_epochs(trials: pd.DataFrame) -> float:
    mean = trials["epochs"].mean()
    return 0.0 if pd.isna(mean) else float(mean)


def _reasons(trials: pd.DataFrame) -> list[tuple[int, str]]:
    failed = trials[trials["attempts_failed"] > 0]
    return [(one["trial_index"], one["reason"].splitlines()[0]) for one in failed.to_dict("records")]
