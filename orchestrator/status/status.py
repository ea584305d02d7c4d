"""The state of a run, read from its files alone: while it runs, from any machine, or long after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple, cast

import pandas as pd

from orchestrator.conductor.lease import shows_life
from orchestrator.conductor.monitor import phase_now
from orchestrator.conductor.time_estimate import Spent, mean_spent, search_share, seconds_left
from orchestrator.errors import SweepError
from orchestrator.preflight.plan import mean_epochs
from orchestrator.status.headline import Summary
from orchestrator.sweep.sweep import Sweep
from results import Run, RunDirectory
from results.states import SETTLED, TrialState

SILENT_S = 120.0
"""A trial counts as dead when it has written no epoch for this long, and for ten times its last epoch."""


@dataclass(frozen=True)
class RunningTrial:
    """A running trial, as of its last epoch on storage."""

    index: int
    phase: str
    epochs_done: int
    epochs: int | None
    accuracy: float | None
    """Validation accuracy of the last epoch; the training accuracy where it was not measured."""
    host: str
    epoch_s: float
    silent_s: float
    """Seconds since its last epoch was written."""

    @property
    def alive(self) -> bool:
        """Whether its last epoch is recent."""
        return self.silent_s < max(SILENT_S, 10 * self.epoch_s)


@dataclass(frozen=True)
class Status:
    """The state of a run."""

    name: str
    total: int
    """Trials that the sweep asks for."""
    counts: Mapping[TrialState, int]
    """Trials in the ledger by state, see ``results.states``."""
    running: list[RunningTrial] = field(default_factory=list)
    failed: list[tuple[int, str]] = field(default_factory=list)
    """Index of each trial that was given up, and the reason."""
    retried: list[tuple[int, str]] = field(default_factory=list)
    """Index of each unfinished trial with a failed attempt, and the reason."""
    front: int | None = None
    """Points on the front; None if there is no front yet."""
    seconds_left: float | None = None
    """Estimated time left; None if no trial is alive."""
    launch: str | None = None
    """The launch that holds the lease on the run; None if there is none, or it has stopped renewing it."""
    broken: list[str] = field(default_factory=list)
    """Files that cannot be read, each with the reason."""

    @property
    def settled(self) -> int:
        """Number of trials that need nothing more."""
        return _settled(self.counts)

    @property
    def complete(self) -> bool:
        """Whether every trial is settled."""
        return self.settled >= self.total

    @property
    def summary(self) -> Summary:
        """The counts of the headline. Trials that the ledger does not have yet count as proposed."""
        waiting = self.total - self.settled - self.counts.get("running", 0)
        return Summary(
            name=self.name,
            total=self.total,
            counts={**self.counts, "proposed": waiting},
            seconds_left=self.seconds_left,
            front=self.front,
            launched=self.launch is not None,
        )


def read_status(run: Run, now: datetime | None = None) -> Status:
    """Read the state of a single run from its files."""
    directory, now = run.directory, now or datetime.now(UTC)
    trials = run.trials()
    counts = {cast(TrialState, state): int(n) for state, n in trials["state"].value_counts().items() if n}
    running = _running(directory, trials[trials["state"] == "running"], now)
    target = _target(run)
    total = max(target.trials, len(trials))
    stored = directory.read_front()
    return Status(
        name=str(run.sweep().get("name") or directory.uri),
        total=total,
        counts=counts,
        running=running,
        failed=_reasons(trials[trials["state"] == "failed"]),
        retried=_reasons(trials[trials["state"].isin(["running", "proposed"])]),
        front=None if stored is None else stored.num_rows,
        seconds_left=_seconds_left(
            running,
            waiting=total - _settled(counts) - len(running),
            epochs=target.epochs or _mean_epochs(trials),
            spent=mean_spent(directory, target.search_share),
        ),
        launch=_launch(directory, now),
        broken=[f"{problem.path}: {problem.reason}" for problem in run.problems()],
    )


def _settled(counts: Mapping[TrialState, int]) -> int:
    return sum(counts.get(state, 0) for state in SETTLED)


def _launch(directory: RunDirectory, now: datetime) -> str | None:
    lease = directory.read_lease()
    return str(lease) if lease is not None and shows_life(lease, now) else None


class _Target(NamedTuple):
    """What a sweep asks for."""

    trials: int
    search_share: float
    """Share of the trials that run a search of their own."""
    epochs: float
    """Mean epochs of a trial; 0 if unknown."""


def _target(run: Run) -> _Target:
    """Return what the sweep asks for, or nothing where this version cannot read its file."""
    try:
        sweep = Sweep.from_mapping(run.sweep())
    except SweepError:
        return _Target(0, 1.0, 0.0)
    share = search_share(sweep)
    search_epochs, train_epochs = mean_epochs(sweep)
    return _Target(sweep.budget, share, share * search_epochs + train_epochs)


def _running(directory: RunDirectory, trials: pd.DataFrame, now: datetime) -> list[RunningTrial]:
    names = ["trial_key", "accuracy", "validation_accuracy", "epoch_s"]
    table = directory.read_progress(trials["trial_key"].tolist(), names) if len(trials) else None
    last_rows = {row["trial_key"]: row for row in table.to_pylist()} if table is not None else {}
    running = []
    for trial in trials.to_dict("records"):
        row = last_rows.get(trial["trial_key"], {})
        validation = row.get("validation_accuracy")
        epochs = None if pd.isna(trial["epochs"]) else int(trial["epochs"])
        running.append(
            RunningTrial(
                index=trial["trial_index"],
                phase=phase_now(trial["phase"], trial["epochs_done"], epochs),
                epochs_done=trial["epochs_done"],
                epochs=epochs,
                accuracy=row.get("accuracy") if validation is None else validation,
                host=trial["host"],
                epoch_s=float(row.get("epoch_s") or 0.0),
                silent_s=max(0.0, (now - trial["last_at"]).total_seconds()),
            )
        )
    return running


def _seconds_left(
    running: Sequence[RunningTrial], *, waiting: int, epochs: float, spent: Spent | None
) -> float | None:
    """Estimate the time left. Only trials that are alive share the work."""
    alive = [trial for trial in running if trial.alive and trial.epoch_s > 0]
    return seconds_left(
        [max(0, (trial.epochs or trial.epochs_done) - trial.epochs_done) for trial in running],
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
    """Return the index and the reason of each trial with a failed attempt."""
    failed = trials[trials["attempts_failed"] > 0]
    return [(trial["trial_index"], trial["reason"].splitlines()[0]) for trial in failed.to_dict("records")]
