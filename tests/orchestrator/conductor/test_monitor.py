"""The state of a launch that is displayed, and the estimate of the time left."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.conductor.conductor import Conductor
from orchestrator.conductor.monitor import Monitor
from orchestrator.conductor.time_estimate import mean_spent
from results import RunDirectory
from tests.doubles.fake_trials import noop_trial, write_records
from tests.orchestrator.conftest import small_sweep
from trials.config import TrialConfig
from trials.context import TrialContext


class Killed(BaseException):
    """Raised in place of a kill."""


def make_conductor(path: Path, clock: list[float]) -> Conductor:
    return Conductor(small_sweep(), RunDirectory(path, create=True), Monitor(clock=lambda: clock[0]))


def test_the_time_left_is_estimated_from_epochs_and_then_from_finished_trials(tmp_path: Path) -> None:
    clock = [0.0]
    conductor = make_conductor(tmp_path, clock)
    monitor = conductor.monitor
    first, second = conductor.next(), conductor.next()
    assert first is not None
    assert second is not None
    epochs = monitor.running[0].epochs
    for entry in (first, second):
        monitor.placed(entry.index)
    assert monitor.seconds_left() is None
    for entry in (first, second):
        conductor.reported(entry.index, {"step": 1, "phase": "search", "epoch_s": 4.0})
    waiting = monitor.total - 2
    running = 2 * (epochs - 1) * 4.0
    assert monitor.seconds_left() == pytest.approx((running + waiting * epochs * 4.0) / 2)

    clock[0] = 30.0
    conductor.reported(first.index, {"step": epochs, "phase": "train", "epoch_s": 4.0})
    noop_trial(
        TrialConfig.model_validate(first.config), TrialContext(conductor.directory, 0, conductor.sweep.name)
    )
    clock[0] = 37.0
    conductor.succeeded(first.index)  # 37 seconds in all, 7 of them for the ladder
    assert monitor.seconds_left() == pytest.approx((epochs - 1) * 4.0 + 7.0 + waiting * 37.0)

    again = make_conductor(tmp_path, clock)  # the times of earlier launches are in the points
    assert again.next() is not None
    again.monitor.placed(second.index)
    again.reported(second.index, {"step": 1, "phase": "search", "epoch_s": 4.0})
    spent = mean_spent(again.directory, 1.0)
    assert spent is not None
    running = (epochs - 1) * 4.0 + spent.ladder
    assert again.monitor.seconds_left() == pytest.approx(running + waiting * sum(spent))


def test_a_resumed_trial_shows_the_epochs_it_has_done(tmp_path: Path) -> None:
    clock = [0.0]
    entry = make_conductor(tmp_path, clock).next()
    assert entry is not None

    def report(row: dict[str, object]) -> None:
        if row["step"] == 2:
            raise Killed

    config = TrialConfig.model_validate(entry.config)
    context = TrialContext(RunDirectory(tmp_path), 0, "small", report=report)
    with pytest.raises(Killed):
        write_records(config, context, epochs=3, hook=lambda step: None)
    again = make_conductor(tmp_path, clock)
    again.next()
    again.next()
    steps = {index: trial.step for index, trial in again.monitor.running.items()}
    assert steps == {0: 2, 1: 0}
