"""The state of a run, from its files alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.fs as pafs
import pytest

from orchestrator.status.status import RunningTrial, read_status
from results import Run, open_run
from tests.orchestrator.cli.conftest import make_run, run_trial
from tests.orchestrator.conftest import small_sweep


def test_the_numbers_are_those_of_the_files(tmp_path: Path) -> None:
    run = Run([make_run(tmp_path / "run")])
    last = run.progress().query("trial_index == 2").iloc[-1]
    state = read_status(run, last["at"] + timedelta(seconds=30))
    assert state.counts == {"finished": 2, "running": 1, "failed": 1}
    assert (state.total, state.settled, state.complete) == (4, 3, False)
    assert state.running == [
        RunningTrial(2, "train", 2, 3, last["validation_accuracy"], last["host"], last["epoch_s"], 30.0)
    ]
    ladder_s = run.points()["ladder_s"].mean()
    one_epoch_and_the_ladder = last["epoch_s"] + ladder_s
    assert state.seconds_left == pytest.approx(one_epoch_and_the_ladder)
    assert state.failed == [(3, "TrialError: the loss is nan")]
    assert state.front == len(run.front())


def test_a_trial_that_has_done_its_epochs_is_at_its_ladder(tmp_path: Path) -> None:
    directory = make_run(tmp_path / "run")
    run_trial(directory, small_sweep(), 2, 4, epochs=3)
    (trial,) = read_status(Run([directory])).running
    assert (trial.phase, trial.epochs_done, trial.epochs) == ("ladder", 3, 3)


def test_a_trial_that_has_been_silent_for_long_does_not_count_for_the_time_left(tmp_path: Path) -> None:
    run = Run([make_run(tmp_path / "run")])
    state = read_status(run, datetime.now(UTC) + timedelta(hours=1))
    assert state.seconds_left is None


def test_status_over_another_file_system(tmp_path: Path) -> None:
    make_run(tmp_path / "run")
    remote = pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem())
    assert read_status(open_run("run", filesystem=remote)).counts["finished"] == 2
