"""Shell completion, called as a shell calls it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestrator.cli import app, completion
from orchestrator.status.tables import short_point
from results import open_run

pytestmark = pytest.mark.usefixtures("runs")


def complete(line: str) -> list[str]:
    """Return the candidates that bash gets at the end of ``line``."""
    words = line.split(" ")
    environment = {
        "_SHRINKSWEEP_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    result = CliRunner().invoke(app, [], prog_name="shrinksweep", env=environment)
    return [name for name in result.stdout.splitlines() if name]


def test_commands_and_options() -> None:
    assert complete("shrinksweep st") == ["status"]
    assert "--epsilon" in complete("shrinksweep front runs/digits --")


def test_sweep_files_and_run_directories() -> None:
    assert complete("shrinksweep plan sw") == ["sweep.yaml"]
    assert complete("shrinksweep status ru") == ["runs/"]
    assert complete("shrinksweep status runs/d") == ["runs/digits", "runs/digits-wide"]


def test_columns() -> None:
    assert complete("shrinksweep front runs/digits --max acc") == ["accuracy"]
    assert complete("shrinksweep front runs/digits --min spac") == []  # no number
    assert complete("shrinksweep front runs/digits --where spac") == ["space"]
    assert completion.columns("accuracy > 0.9 and splitt") == ["accuracy > 0.9 and splitting"]
    assert complete("shrinksweep front runs/digits --epsilon effective_macs_f") == ["effective_macs_fused="]


def test_points_of_the_run_that_was_given() -> None:
    stored = open_run("runs/digits").directory.read_front()
    assert stored is not None
    front = stored["point"].to_pylist()
    assert complete("shrinksweep export runs/digits ") == [short_point(name) for name in front]
    start = front[0][:3]
    points = open_run("runs/digits").points()["point"]
    assert complete(f"shrinksweep export runs/digits {start}") == [
        short_point(name) for name in points if name.startswith(start)
    ]
    assert complete("shrinksweep export runs/none ") == []


def test_swept_paths() -> None:
    assert complete("shrinksweep launch sweep.yaml --set sweep.space.split") == ["sweep.space.splitting="]
    assert complete("shrinksweep launch sweep.yaml --set strategy.tr") == ["strategy.trials="]
    assert "trial.train.epochs=" in complete("shrinksweep launch sweep.yaml --set trial.train.")


def test_the_script_for_the_shell_is_shown(tmp_path: Path) -> None:
    environment = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator.cli", "--show-completion", "bash"],
        env=environment, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert "complete_bash" in done.stdout
