"""The command ``status``."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from pathlib import Path

import pytest
from rich.console import Console

from orchestrator.cli import watching
from orchestrator.conductor.lease import Holder
from orchestrator.status.status import RunningTrial, Status, read_status
from results import Run, RunDirectory, open_run
from tests.orchestrator.cli.conftest import command, make_run


def test_status_says_what_runs_where_and_what_failed(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = command(capsys, "status", "runs/digits")
    first, heading, trial, *rest = out.splitlines()
    assert (status, err) == (0, "")
    assert first.startswith("test: 2 of 4 trials finished, 1 interrupted, 1 failed, ")
    assert "left" not in first  # nothing runs without a launch
    assert heading.split()[:6] == ["trial", "phase", "progress", "epochs", "accuracy", "host"]
    host = open_run("runs/digits").trials()["host"].dropna().iloc[-1]
    assert trial.split()[:4] == ["2", "train", "67%", "2/3"]
    assert host in trial
    assert rest == [
        "trial 3 failed for good: TrialError: the loss is nan",
        "no launch is running: launch again to resume",
    ]
    assert out.isascii()


def test_the_launch_that_holds_the_lease_is_named_as_long_as_it_renews_it(
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
    assert "cannot be read: ledger/000000.json: not a ledger entry" in out
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


def state_with(finished: int) -> Status:
    return Status("test", 3, {"finished": finished, "running": 3 - finished})


@pytest.mark.parametrize("drawn", [True, False])
def test_watching_ends_with_the_run(drawn: bool) -> None:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=drawn, width=100)
    updates = iter([state_with(finished) for finished in (1, 1, 2, 3, 3)])
    watching._watch(updates, console)
    assert len(list(updates)) == 1
    assert "3 of 3 trials finished" in shown.getvalue()
    if not drawn:  # a line whenever it says something new
        assert [line.split()[1] for line in shown.getvalue().splitlines()] == ["1", "2", "3"]


def test_many_trials_are_cut_on_a_terminal_only() -> None:
    trials = [RunningTrial(i, "train", 1, 3, 0.5, "node", 1.0, 1.0) for i in range(50)]
    many = Status("test", 50, {"running": 50}, trials)
    assert watching._trials_table(many, drawn=True).row_count == watching.MOST + 1
    assert watching._trials_table(many, drawn=False).row_count == 50
