"""The command line: what it answers, what it loads, and how it says what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from orchestrator import ledger
from orchestrator.cli import app, main
from results import RunDirectory
from tests.orchestrator.conftest import small_sweep
from trials.config import TrialConfig

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


def in_process(*arguments: str) -> tuple[str, str]:
    """Run the command line in a fresh interpreter; return its output and what it loaded."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(arguments=list(arguments))],
        capture_output=True, text=True, check=True, timeout=100,
    )  # fmt: skip
    output, _, loaded = done.stdout.rpartition("loaded ")
    return output + done.stderr, loaded.strip()


@pytest.fixture
def sweep_file(tmp_path: Path) -> Path:
    path = tmp_path / "sweep.yaml"
    path.write_text(SWEEP)
    return path


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A run of one finished trial and one failed one."""
    from benchmarks.fake_trials import noop_trial
    from trials.record import TrialContext

    sweep = small_sweep()
    directory = RunDirectory(tmp_path / "run", create=True)
    directory.write_sweep(sweep.model_dump(mode="json"), {})
    good = ledger.new_entry(0, sweep.config({"space.splitting": 1}))
    bad = ledger.after_failure(
        ledger.new_entry(1, sweep.config({"space.splitting": 2})), "TrialError: the loss is nan", 1, 0
    )
    for entry in (good, bad):
        directory.write_entry(entry)
    noop_trial(TrialConfig.model_validate(good.config), TrialContext(directory, 0, "test"))
    return tmp_path / "run"


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_help_teaches_by_example_and_loads_nothing() -> None:
    output, loaded = in_process("--help")
    assert "shrinksweep launch examples/digits.yaml" in output
    assert loaded == "[]"


def test_plan_loads_neither_ray_nor_torch(sweep_file: Path) -> None:
    output, loaded = in_process("plan", str(sweep_file))
    assert "trials:     3" in output
    assert loaded == "[]"


def test_status_and_front_load_neither_ray_nor_torch(finished: Path) -> None:
    output, loaded = in_process("status", str(finished))
    assert "2 trials: 1 finished, 1 failed" in output
    assert "trial 1: failed, TrialError: the loss is nan" in output
    assert loaded == "[]"
    output, loaded = in_process("front", str(finished))
    assert "accuracy" in output
    assert loaded == "[]"


def test_every_fault_is_one_line_and_the_status_is_2(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("name: x\nsweep: {space.splitting: [3], nodes: [1]}\n")
    output, _ = in_process("launch", str(path))
    assert "error: unknown path `sweep.nodes`; did you mean `space.nodes`?" in output
    assert "error: sweep: `splitting` must divide the 4 concatenated nodes" in output
    assert "status 2" in output
    assert "Traceback" not in output


def test_a_place_without_a_run_is_named(tmp_path: Path) -> None:
    output, _ = in_process("status", str(tmp_path / "none"))
    assert output.startswith("status 2\nerror: ")
    assert str(tmp_path / "none") in output


@pytest.mark.parametrize("form", ["csv", "json"])
def test_the_front_is_written_in_every_form(finished: Path, form: str) -> None:
    result = invoke("front", str(finished), "--max", "accuracy", "--min", "macs", "--format", form)
    assert result.exit_code == 0
    if form == "json":
        assert all("accuracy" in row for row in json.loads(result.stdout))
    else:
        assert result.stdout.startswith("point,")


def test_the_front_is_written_to_a_parquet_file(finished: Path, tmp_path: Path) -> None:
    import pandas as pd

    path = tmp_path / "front.parquet"
    assert invoke("front", str(finished), "--format", "parquet", "-o", str(path)).exit_code == 0
    assert set(pd.read_parquet(path)["splitting"]) == {1}


def test_an_unknown_format_is_refused(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["shrinksweep", "front", str(finished), "--format", "xml"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2


def test_the_example_is_a_valid_sweep() -> None:
    result = invoke("plan", "examples/digits.yaml", "--set", "strategy.trials=2")
    assert result.exit_code == 0
    assert "trials:     2" in result.stdout
