"""``status``: everything from the run's files, whoever else is there."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.fs as pafs
import pytest
from rich.console import Console

from orchestrator.cli import watching
from orchestrator.conductor.lease import Holder
from orchestrator.status.status import Status, Working, read_status
from results import Run, RunDirectory, open_run
from tests.orchestrator.cli.conftest import command, make_run, run_trial
from tests.orchestrator.conftest import small_sweep


def test_status_says_what_runs_where_and_what_failed(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = command(capsys, "status", "runs/digits")
    first, heading, trial, *rest = out.splitlines()
    assert (status, err) == (0, "")
    assert first.startswith("test: 2 of 4 trials finished, 1 running, 1 failed, about ")
    assert heading.split()[:6] == ["trial", "phase", "progress", "epochs", "accuracy", "host"]
    host = open_run("runs/digits").trials()["host"].dropna().iloc[-1]
    assert trial.split()[:4] == ["2", "train", "67%", "2/3"]
    assert host in trial
    assert rest == [
        "trial 3 failed for good: TrialError: the loss is nan",
        "no launch works on it: launch again to go on",
    ]
    assert out.isascii()


def test_the_numbers_are_those_of_the_files(tmp_path: Path) -> None:
    run = Run([make_run(tmp_path / "run")])
    last = run.progress().query("trial_index == 2").iloc[-1]
    look = read_status(run, last["at"] + timedelta(seconds=30))
    assert look.counts == {"finished": 2, "running": 1, "failed": 1}
    assert (look.total, look.settled, look.complete) == (4, 3, False)
    assert look.working == [
        Working(2, "train", 2, 3, last["validation_accuracy"], last["host"], last["epoch_s"], 30.0)
    ]
    ladder_s = run.points()["ladder_s"].mean()
    assert look.seconds_left == pytest.approx(last["epoch_s"] + ladder_s)  # one epoch and the ladder are left
    assert look.failed == [(3, "TrialError: the loss is nan")]
    assert look.front == len(run.front())


def test_a_trial_that_has_done_its_epochs_is_at_its_ladder(tmp_path: Path) -> None:
    directory = make_run(tmp_path / "run")
    run_trial(directory, small_sweep(), 2, 4, epochs=3)
    (trial,) = read_status(Run([directory])).working
    assert (trial.phase, trial.done, trial.epochs) == ("ladder", 3, 3)


def test_a_trial_that_has_been_quiet_for_long_counts_for_no_pace(tmp_path: Path) -> None:
    run = Run([make_run(tmp_path / "run")])
    look = read_status(run, datetime.now(UTC) + timedelta(hours=1))
    assert look.seconds_left is None


def test_the_launch_that_works_on_a_run_is_named_as_long_as_it_shows_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run([make_run(tmp_path / "run")])
    lease = Holder(run.directory).lease
    run.directory.write_lease(lease)
    assert read_status(run).launch == str(lease)
    _, out, _ = command(capsys, "status", str(tmp_path / "run"))
    assert out.splitlines()[-1] == f"launched by {lease}"
    run.directory.write_lease(lease.model_copy(update={"process_started": 0.0}))
    assert read_status(run).launch is None  # it died, and this machine knows
    far = lease.model_copy(update={"machine": "far"})
    run.directory.write_lease(far)
    assert read_status(run).launch == str(far)
    assert read_status(run, lease.renewed + timedelta(seconds=lease.lasts_s + 1)).launch is None


def test_status_of_a_run_before_its_first_trial_and_after_its_files_were_harmed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = make_run(tmp_path / "run")
    (tmp_path / "run/ledger/000000.json").write_text("{")
    (tmp_path / "run/sweep.yaml").write_text("name: other times\nfields: [unknown]\n")
    status, out, _ = command(capsys, "status", directory.uri)
    assert status == 0
    assert "cannot be read: ledger/000000.json: this is no ledger entry" in out
    empty = RunDirectory(tmp_path / "empty", create=True)
    empty.write_sweep(Run([make_run(tmp_path / "other")]).sweep(), {})
    status, out, _ = command(capsys, "status", empty.uri)
    assert status == 0
    assert out.splitlines()[0] == "test: 0 of 3 trials finished, 3 waiting"


def test_status_as_data_is_a_row_a_trial(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = command(capsys, "status", "runs/digits", "--format", "json")
    rows = json.loads(out)
    assert [row["state"] for row in rows] == ["finished", "finished", "running", "failed"]
    assert rows[3]["reason"] == "TrialError: the loss is nan"


def look(finished: int) -> Status:
    return Status("test", 3, {"finished": finished, "running": 3 - finished})


@pytest.mark.parametrize("drawn", [True, False])
def test_watching_ends_with_the_run(drawn: bool) -> None:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=drawn, width=100)
    looks = iter([look(1), look(1), look(2), look(3), look(3)])
    watching._watch(looks, console)
    assert len(list(looks)) == 1
    assert "3 of 3 trials finished" in shown.getvalue()
    if not drawn:  # a line whenever it says something new
        assert [line.split()[1] for line in shown.getvalue().splitlines()] == ["1", "2", "3"]


def test_many_trials_are_cut_on_a_terminal_only() -> None:
    trials = [Working(i, "train", 1, 3, 0.5, "node", 1.0, 1.0) for i in range(50)]
    many = Status("test", 50, {"running": 50}, trials)
    assert watching._trials(many, drawn=True).row_count == watching.MOST + 1
    assert watching._trials(many, drawn=False).row_count == 50


def test_status_over_another_file_system(tmp_path: Path) -> None:
    make_run(tmp_path / "run")
    remote = pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem())
    assert read_status(open_run("run", filesystem=remote)).counts["finished"] == 2
