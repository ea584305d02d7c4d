"""What a launch is said to have come to, and how long it still takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.conductor.conductor import Conductor
from orchestrator.conductor.monitor import Monitor
from orchestrator.conductor.time_estimate import mean_spent
from results import RunDirectory
from tests.doubles.fake_trials import _leave, noop_trial
from tests.orchestrator.conftest import small_sweep
from trials.checkpointing.record import TrialContext
from trials.config import TrialConfig


class Killed(BaseException):
    """What ends a launch."""


def conducted(place: Path, clock: list[float]) -> Conductor:
    return Conductor(small_sweep(), RunDirectory(place, create=True), Monitor(clock=lambda: clock[0]))


def test_the_time_left_follows_the_epochs_then_what_whole_trials_took(tmp_path: Path) -> None:
    clock = [0.0]
    conductor = conducted(tmp_path, clock)
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
    under_way = 2 * (epochs - 1) * 4.0
    assert monitor.seconds_left() == pytest.approx((under_way + waiting * epochs * 4.0) / 2)

    clock[0] = 30.0
    conductor.reported(first.index, {"step": epochs, "phase": "train", "epoch_s": 4.0})
    noop_trial(
        TrialConfig.model_validate(first.config), TrialContext(conductor.directory, 0, conductor.sweep.name)
    )
    clock[0] = 37.0
    conductor.succeeded(first.index)  # 37 seconds in all, 7 of them for the ladder
    assert monitor.seconds_left() == pytest.approx((epochs - 1) * 4.0 + 7.0 + waiting * 37.0)

    again = conducted(tmp_path, clock)  # what a launch before it took is in the points
    assert again.next() is not None
    again.monitor.placed(second.index)
    again.reported(second.index, {"step": 1, "phase": "search", "epoch_s": 4.0})
    spent = mean_spent(again.directory, 1.0)
    assert spent is not None
    under_way = (epochs - 1) * 4.0 + spent.ladder
    assert again.monitor.seconds_left() == pytest.approx(under_way + waiting * sum(spent))


def test_a_trial_that_goes_on_shows_the_epochs_that_it_has_behind_it(tmp_path: Path) -> None:
    clock = [0.0]
    entry = conducted(tmp_path, clock).next()
    assert entry is not None

    def report(row: dict[str, object]) -> None:
        if row["step"] == 2:
            raise Killed

    config = TrialConfig.model_validate(entry.config)
    context = TrialContext(RunDirectory(tmp_path), 0, "small", report=report)
    with pytest.raises(Killed):
        _leave(config, context, epochs=3, hook=lambda step: None)
    again = conducted(tmp_path, clock)
    again.next()
    again.next()
    steps = {index: trial.step for index, trial in again.monitor.running.items()}
    assert steps == {0: 2, 1: 0}
