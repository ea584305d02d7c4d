"""Runs and sweep files in a temporary folder, in which the commands are called."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator import Sweep
from orchestrator.conductor import transitions
from results import RunDirectory, refresh_front
from results.storage.ledger import Failure
from tests.doubles.fake_trials import quick_trial
from tests.doubles.stopped import StoppedError
from tests.orchestrator.conftest import small_sweep
from trials.config import TrialConfig
from trials.context import TrialContext

SWEEP = "name: test\nsweep: {space.splitting: [1, 2, 4]}\nstrategy: {searcher: grid}\n"

LOADED = """
import sys
sys.argv[1:] = {arguments!r}
from orchestrator.cli import main
try:
    main()
except SystemExit as end:
    print("status", end.code)
print("loaded", [m for m in ("torch", "ray", "optuna") if m in sys.modules])
"""


def run_trial(directory: RunDirectory, sweep: Sweep, index: int, splitting: int, epochs: int = 99) -> None:
    """Record a trial of ``sweep`` and run ``epochs`` of its epochs; after the last it writes its points."""
    entry = transitions.new_entry(index, sweep.config({"space.splitting": splitting}))
    directory.write_entry(entry)

    def report(row: dict[str, object]) -> None:
        if row["step"] == epochs:
            raise StoppedError

    if epochs:
        config = TrialConfig.model_validate(entry.config)
        with contextlib.suppress(StoppedError):
            quick_trial(config, TrialContext(directory, index, "test", report))


def make_run(folder: Path, finished: int = 2) -> RunDirectory:
    """Make a run of finished trials (s = 1, 2), a running one (after two epochs), and one that was given up."""
    sweep = small_sweep(
        sweep={"space.splitting": [1, 2, 4], "space.channels": [8]},
        strategy={"searcher": "grid", "trials": 3},
    )
    directory = RunDirectory(folder, create=True)
    directory.write_sweep(sweep.model_dump(mode="json"), {"shrinksweep": "0.1.0"})
    for index in range(finished):
        run_trial(directory, sweep, index, 2**index)
    run_trial(directory, sweep, 2, 4, epochs=2)
    failed = transitions.new_entry(3, sweep.config({"space.splitting": 4}).model_copy(update={"seed": 1}))
    directory.write_entry(
        transitions.after_failure(failed, Failure(kind="TrialError", message="the loss is nan"), 1, 0)
    )
    if finished:
        refresh_front(directory, sweep.objectives)
    return directory


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to a folder with ``sweep.yaml``, ``runs/digits`` and ``runs/digits-wide``."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    make_run(tmp_path / "runs/digits")
    make_run(tmp_path / "runs/digits-wide", finished=1)
    return tmp_path


def in_process(*arguments: str) -> tuple[str, str]:
    """Run the command line in a fresh interpreter; return its output and what it loaded."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(arguments=list(arguments))],
        capture_output=True, text=True, check=True, timeout=100,
    )  # fmt: skip
    output, _, loaded = done.stdout.rpartition("loaded ")
    return output + done.stderr, loaded.strip()


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run the command line in this process; return its exit status, output and errors."""
    from orchestrator.cli import main

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["shrinksweep", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
    out, err = capsys.readouterr()
    return int(end.value.code or 0), out, err
