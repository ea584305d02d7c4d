"""``log`` and ``optuna``: a run in other tools for experiments."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.orchestrator.cli.conftest import command

# Databases and event files are closed by the garbage collector.
pytestmark = [
    pytest.mark.usefixtures("runs"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_log_brings_a_run_to_tensorboard_once(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = command(capsys, "log", "runs/digits", "--tensorboard", "logs")
    assert status == 0
    assert re.fullmatch(r"logged [1-9]\d+ new values\n", out)
    assert len(list(Path("logs").iterdir())) == 4
    assert command(capsys, "log", "runs/digits", "--tensorboard", "logs")[1].startswith("logged 0 ")


def test_optuna_writes_a_study(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = command(capsys, "optuna", "runs/digits", "-o", "study.db")
    assert (status, out) == (0, "added 5 trials to the study test in study.db\n")


def test_a_log_without_a_destination_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = command(capsys, "log", "runs/digits")
    assert (status, err) == (2, "error: `log` needs a destination: give --tensorboard DIR or --mlflow URI\n")
