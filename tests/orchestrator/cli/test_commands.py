"""All commands: their help and its examples, what they load, and how they report mistakes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from orchestrator.cli import app
from orchestrator.cli.launching import next_commands, show_outcome
from orchestrator.cli.output import open_console
from orchestrator.launch import Outcome
from results import RunDirectory, open_run, refresh_front
from tests.orchestrator.cli.conftest import command, in_process
from tests.orchestrator.conftest import small_sweep
from trials.forecast import StepTimes

COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
EXAMPLES = [
    (name, line.strip())
    for name, known in {"": typer.main.get_command(app), **COMMANDS}.items()
    for line in (known.help or "").splitlines()
    if line.startswith("  shrinksweep ")
]
NOT_RUN = ("launch", "export", "s3://", "--watch", " -w", ".svg")
"""Examples that are only parsed: they start Ray, need a trained network, another machine or kaleido, or never end."""

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_teaches_by_example(name: str) -> None:
    assert any(f"shrinksweep {name} " in f"{line} " for owner, line in EXAMPLES if owner == name)
    first = COMMANDS[name].help.splitlines()[0]
    assert len(first) <= 60, "the list of commands cuts it"
    for option in COMMANDS[name].params:
        assert option.help, f"{name} {option.name} is not explained"


# MLflow's and Optuna's databases are closed by the garbage collector, and warn of their own future.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize("example", dict.fromkeys(line for _, line in EXAMPLES))
def test_every_example_works(
    example: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trials.forecast.time_steps", lambda *arguments, **options: StepTimes(1.0, 1.0, 0.01))
    _, name, *arguments = shlex.split(example, comments=True)
    COMMANDS[name].make_context(name, list(arguments), resilient_parsing=False)
    if not any(part in example for part in NOT_RUN):
        status, out, err = command(capsys, name, *arguments)
        assert (status, err) == (0, "")
        assert out or "-o" in arguments


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_the_help_fits_a_terminal_of_80_columns(name: str) -> None:
    command = COMMANDS[name] if name else typer.main.get_command(app)
    context = command.context_class(
        command, info_name=f"shrinksweep {name}", terminal_width=80, max_content_width=80
    )
    lines = command.get_help(context).splitlines()
    assert [line for line in lines if len(line) > 80] == []


def test_help_teaches_by_example_and_loads_nothing() -> None:
    output, loaded = in_process("--help")
    assert "shrinksweep launch sweep.yaml" in output
    assert "--install-completion" in output
    assert loaded == "[]"


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(
    "arguments",
    [
        "plan sweep.yaml --quick",
        "status runs/digits",
        "front runs/digits",
        "compare runs/digits runs/digits",
        "schema",
    ],
)
def test_what_only_reads_loads_neither_ray_nor_torch(arguments: str) -> None:
    output, loaded = in_process(*arguments.split())
    assert "status 0" in output
    assert loaded == "[]"


def test_every_fault_is_one_line_and_the_status_is_2(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("name: x\nsweep: {space.splitting: [3], nodes: [1]}\n")
    output, _ = in_process("launch", str(path))
    assert "error: unknown path `sweep.nodes`; did you mean `space.nodes`?" in output
    assert "error: sweep: `splitting` must divide the 4 concatenated nodes" in output
    assert "status 2" in output
    assert "Traceback" not in output


BAD = {
    "front runs/none": r"a run must have a sweep.yaml, ledger/ or points/, but got .*runs/none",
    "status runs/none": r"a run must have .* but got .*runs/none",
    "compare runs/digits runs/none": r"a run must have .* but got .*runs/none",
    "report runs/none": r"a run must have .* but got .*runs/none",
    "front runs/none-*": r"there must be at least one run, but none matches 'runs/none-\*'",
    "front runs/digits --max acuracy": r"there is no column `acuracy`; did you mean `accuracy`\?",
    "front runs/digits --min space": r"an objective must hold numbers, but `space` holds category",
    "front runs/digits --by spliting": r"there is no column `spliting`; did you mean `splitting`\?",
    "front runs/digits --sort mcas": r"there is no column `mcas`; did you mean `macs`\?",
    "front runs/digits --max accuracy --min accuracy": r"an objective must be named once, .*",
    "front runs/digits --where accuracy>2": r"a front needs a point, but none of the 4 points matches .*",
    "front runs/digits --where __import__('os')": r"`where` must be made of comparisons, but got .*",
    "front runs/digits --epsilon accuracy": r"`--epsilon` must be COL=NUMBER, but got 'accuracy'",
    "front runs/digits --epsilon mcas=1": r"`epsilon` must name objectives only, but got `mcas`.*",
    "front runs/digits --format xml": r"`--format` must be one of table, csv, json, parquet, xlsx, but got 'xml'",
    "front runs/digits --format parquet": r"`--format parquet` needs a file: give one with -o FILE",
    "front runs/digits --max acc": r"there is no column `acc`; did you mean `accuracy`\?",
    "plan sweep.yaml --set space.channels=3": r"unknown key `space`; did you mean `trial.space`\?",
    "plan sweep.yaml --set trials=3": r"unknown key `trials`; did you mean `strategy.trials`\?",
    "plan sweep.yaml --set trial.lamda=3": r"unknown key `trial.lamda`.*",
    "plan sweep.yaml --set s=3": r"`--set s` must name a field that is not swept: set `sweep.s`",
    "plan sweep.yaml --set seed=1:30": r"`seed` must be a valid integer.*, but got '1:30'",
    "front runs/digits --format csv -o sweep.yaml/x": r"a file must be writable, but got sweep.yaml/x: .*",
    "compare runs/digits runs/digits --reference accuracy=0": r"`reference` must give a number for `macs`.*",
    "front runs/digits -o front.png": r"FILE must end in .txt, .csv, .* but got front.png",
    "report runs/digits -o report.pdf": r"a report is a page of HTML: its file must end in .html, but got .*",
    "report runs/digits -o .": r"a file must be writable, but got .: Is a directory",
    "optuna runs/digits -o study.txt": r"a study must be .*: no kind of study ends in .txt; .*",
    "report runs/digits -o sweep.yaml/x": r"a file must be writable, but got sweep.yaml/x: .*",
    "status runs/digits --every 0": r"Invalid value for '--every'.*",
    "status runs/digits --fomrat csv": r"No such option: --fomrat.*",
    "status": r"Missing argument 'RUN'.*",
    "plan none.yaml": r"a sweep must be a readable file, but got none.yaml: .*",
    "export runs/none 0-0": r"a run must have .* but got .*runs/none",
}


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize("arguments", BAD)
def test_bad_input_is_one_clear_line(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = command(capsys, *arguments.split())
    assert (status, out) == (2, "")
    assert re.fullmatch(f"error: {BAD[arguments]}\n", err), err


def test_a_run_without_points_has_no_front(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for file in (runs / "runs/digits/points").iterdir():
        file.unlink()
    status, _, err = command(capsys, "front", "runs/digits")
    assert status == 2
    assert re.search("a front needs a point, but no trial of .*digits.* has finished yet", err)
    status, _, err = command(capsys, "compare", "runs/digits", "runs/digits-wide")
    assert status == 2
    assert "a comparison needs points with all objectives, but runs/digits has none" in err


def test_the_example_is_a_valid_sweep(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = command(
        capsys, "plan", str(ROOT / "examples" / "digits.yaml"), "--quick", "--set", "strategy.trials=2"
    )
    assert status == 0
    assert "trials:     2" in out


@pytest.mark.usefixtures("runs")
def test_a_launch_whose_front_is_empty_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    directory = RunDirectory("runs/digits")
    sweep = small_sweep(constraints=["accuracy >= 2"])
    directory.write_sweep(sweep.model_dump(mode="json"), {})
    refresh_front(directory, sweep.objectives, constraints=sweep.bounds)
    show_outcome(Outcome(directory, [], complete=True), sweep, open_console())
    best = open_run(directory).best("accuracy")
    assert capsys.readouterr().out == (
        "there is no front: none of the 4 points satisfies accuracy >= 2; "
        f"the nearest is {best['point']} with accuracy {best['accuracy']:.9g}\n"
    )
    assert command(capsys, "report", "runs/digits")[0] == 0
    page = Path("report.html").read_text()
    assert "None of the 4 points satisfies accuracy &gt;= 2" in page
    assert "No trial has finished yet" not in page


@pytest.mark.usefixtures("runs")
def test_short_names_are_fields_in_overrides(capsys: pytest.CaptureFixture[str]) -> None:
    settings = (
        "--set",
        "sweep.lambda=[0, 1e-3]",
        "--set",
        "tau=[0, 0.1, 0.5]",
        "--set",
        "trial.map_bits=[8]",
    )
    status, out, _ = command(capsys, "plan", "sweep.yaml", "--quick", *settings)
    assert status == 0
    assert "feature_maps.regularization: 0.0, 0.001" in out
    assert "(3 for each trial" in out


@pytest.mark.usefixtures("runs")
def test_a_fault_of_the_system_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device", "points")

    monkeypatch.setattr("results.open_run", fail)
    status, _, err = command(capsys, "status", "runs/digits")
    assert status == 2
    assert (
        err
        == "error: the system must do what is asked of it, but [Errno 28] No space left on device: 'points'\n"
    )


@pytest.mark.usefixtures("runs")
def test_the_report_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(capsys, "report", "runs/digits", "-o", "deep/report.html")[:2] == (
        0,
        "wrote deep/report.html\n",
    )
    assert open_run("runs/digits").sweep()["name"] in Path("deep/report.html").read_text()


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize("objectives", [{"accuracy": "max", "macs": "min"}, {"effective_macs": "min"}])
def test_the_suggested_next_commands_work(
    objectives: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    directory = open_run("runs/digits").directory
    front = refresh_front(directory, objectives)
    lines = next_commands("runs/digits", front, small_sweep(objectives=objectives))
    suggested = [shlex.split(line)[1:] for line in lines if line.startswith("  shrinksweep front")]
    for arguments in suggested:
        assert command(capsys, *arguments)[0] == 0
    assert len(suggested) == 1
