"""``front`` and ``compare``: the same answers as from Python, in every format."""

from __future__ import annotations

import io
import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from orchestrator.cli.options import is_pattern
from orchestrator.cli.output import _content, plain_lines, print_table
from orchestrator.status.tables import HEADINGS, front_table
from results import RunDirectory, open_run, open_runs
from results.schema import column_of_path
from tests.orchestrator.cli.conftest import command

pytestmark = pytest.mark.usefixtures("runs")


def test_piped_a_table_is_plain_text_one_word_a_cell(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = command(capsys, "front", "runs/digits")
    front = open_run("runs/digits").front()
    heading, *rows = [line.split() for line in out.splitlines()]
    assert status == 0
    assert heading == ["point", "s", "tau", "accuracy", "test_accuracy", "gap", "macs", "memory_bytes"]
    assert [row[0] for row in rows] == [f"{p[:8]}-{p[17:]}" for p in front["point"]]
    assert {len(row) for row in rows} == {len(heading)}
    assert out.isascii()
    assert not any(line.endswith(" ") for line in out.splitlines())


def test_on_a_terminal_a_table_is_drawn() -> None:
    table = front_table(open_run("runs/digits").directory.read_front(), {"accuracy": "max", "macs": "min"})
    drawn = io.StringIO()
    print_table(table, Console(file=drawn, force_terminal=True, width=80))
    assert "\u2500" in drawn.getvalue()
    assert "\x1b[" in drawn.getvalue()
    assert "\u2500" not in "".join(plain_lines(table))


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_every_form_holds_the_whole_front(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    goals = ("--max", "accuracy", "--min", "macs", "--where", "threshold < 0.05")
    file = ("-o", "front.parquet") if form == "parquet" else ()
    status, out, _ = command(capsys, "front", "runs/digits", *goals, "--format", form, *file)
    assert status == 0
    front = open_run("runs/digits").front("accuracy", "macs", where="threshold < 0.05")
    read = {
        "csv": lambda: pd.read_csv(io.StringIO(out)),
        "json": lambda: pd.DataFrame(json.loads(out)),
        "parquet": lambda: pd.read_parquet("front.parquet"),
    }[form]()
    assert read["point"].tolist() == front["point"].tolist()
    assert read["accuracy"].tolist() == pytest.approx(front["accuracy"].tolist())
    assert list(read.columns) == list(front.columns)


def test_a_front_for_each_value_thinned_out_and_sorted(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--by", "splitting", "--epsilon", "accuracy=0.5", "--sort", "-macs", "--format", "csv")
    _, out, _ = command(capsys, "front", "runs/digits", *arguments)
    read = pd.read_csv(io.StringIO(out))
    expected = open_run("runs/digits").front(by="splitting", epsilon={"accuracy": 0.5})
    assert sorted(read["point"]) == sorted(expected["point"])
    assert read["macs"].tolist() == sorted(expected["macs"], reverse=True)


def test_the_knee_is_one_point(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = command(capsys, "front", "runs/digits", "--knee", "--format", "csv")
    assert pd.read_csv(io.StringIO(out))["point"].tolist() == [open_run("runs/digits").knee()["point"]]
    _, shown, _ = command(capsys, "front", "runs/digits", "--knee")
    assert shown.split()[1:3] == ["s", "tau"]  # what tells it from the others of the front


def test_several_runs_are_read_as_one(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = command(capsys, "front", "runs/*")
    heading, *rows = [line.split() for line in out.splitlines()]
    column = heading.index("run")
    assert [row[column] for row in rows] == open_runs("runs/*").front()["run"].tolist()


@pytest.mark.parametrize(
    ("run", "several"),
    [
        ("runs/digits", False),
        ("runs/night-?", True),
        ("s3://bucket/runs/night-*?region=eu-west-1", True),
        ("s3://bucket/runs/digits?endpoint_override=localhost:9000&scheme=http", False),
    ],
)
def test_the_query_of_a_uri_is_no_pattern(run: str, several: bool) -> None:
    assert is_pattern(run) == several


def test_a_table_goes_to_a_file_as_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    command(capsys, "front", "runs/digits", "-o", "deep/front.txt")
    _, out, _ = command(capsys, "front", "runs/digits")
    assert Path("deep/front.txt").read_text() == out


@pytest.mark.parametrize("ending", ["csv", "JSON", "parquet"])
def test_the_ending_of_a_file_decides_its_format_and_a_line_names_the_file(
    ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = command(capsys, "front", "runs/digits", "-o", f"deep/front.{ending}")
    assert (status, out) == (0, f"wrote deep/front.{ending}\n")
    readers: dict[str, Callable[[str], pd.DataFrame]] = {
        "csv": pd.read_csv, "JSON": pd.read_json, "parquet": pd.read_parquet
    }  # fmt: skip
    read = readers[ending]
    assert read(f"deep/front.{ending}")["point"].tolist() == open_run("runs/digits").front()["point"].tolist()
    command(capsys, "compare", "runs/digits", "runs/digits-wide", "-o", f"deep/both.{ending}")
    assert "hypervolume" in read(f"deep/both.{ending}")["indicator"].tolist()


def test_an_excel_file_needs_its_package(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.cli.output.find_spec", lambda name: None)
    status, _, err = command(capsys, "front", "runs/digits", "-o", "front.xlsx")
    assert (status, "needs the package openpyxl" in err) == (2, True)


@pytest.mark.parametrize("name", ["runs/lr[1e-3]", "runs/night?", "runs/a*"])
def test_a_run_that_exists_is_opened_under_its_very_name(
    name: str, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (runs / "runs/digits").rename(runs / name)
    expected = open_run(name).front()["point"].tolist()
    assert open_runs(name).front()["point"].tolist() == expected
    for given in (("front", name), ("report", name), ("compare", name, name), ("status", name)):
        assert command(capsys, *given)[0] == 0


def test_a_folder_of_a_pattern_may_have_the_name_of_a_pattern(runs: Path) -> None:
    (runs / "runs").rename(runs / "runs[2]")
    assert open_runs("runs[2]/digits*").names == ("digits", "digits-wide")


WORDS = [
    ("s", "splitting"),
    ("lambda", "regularization"),
    ("tau", "threshold"),
    ("map_bits", "feature_map_bits"),
]


@pytest.mark.parametrize(("word", "column"), [*WORDS, ("train.momentum", "train_momentum")])
def test_the_names_that_tables_show_are_accepted_everywhere(
    word: str, column: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = RunDirectory("runs/digits").read_sweep() or {}
    swept = {**sweep["sweep"], "train.momentum": [0.9]}
    RunDirectory("runs/digits").write_sweep({**sweep, "sweep": swept}, {})

    def front(*arguments: str) -> pd.DataFrame:
        status, out, err = command(capsys, "front", "runs/digits", *arguments, "--format", "csv")
        assert status == 0, err
        return pd.read_csv(io.StringIO(out))

    for name, same in ((f"{word} >= 0", f"{column} >= 0"), (f"not {word} < 0", f"not {column} < 0")):
        pd.testing.assert_frame_equal(front("--where", name), front("--where", same))
    pd.testing.assert_frame_equal(front("--by", word), front("--by", column))
    pd.testing.assert_frame_equal(front("--sort", f"-{word}"), front("--sort", f"-{column}"))
    goals = ("--max", "accuracy", "--min", word, "--epsilon", f"{word}=0.01")
    assert front(*goals)["point"].tolist() == front(*goals[:3], column)["point"].tolist()
    assert command(capsys, "front", "runs/digits", "--by", word, "--sort", word)[0] == 0


def test_every_heading_of_a_table_is_a_name_of_its_column() -> None:
    for column, heading in HEADINGS.items():
        assert column_of_path("_".join(heading.split())) == column


@pytest.mark.parametrize(
    ("run", "redirection", "status"),
    [("digits", "| true", 1), ("digits", ">&-", 0), ("none", "2>&-", 2)],
)
def test_an_output_that_is_closed_is_no_traceback(
    runs: Path, run: str, redirection: str, status: int
) -> None:
    code = f"import sys; sys.argv[1:] = ['front', 'runs/{run}']; from orchestrator.cli import main; main()"
    shell = f"{shlex.quote(sys.executable)} -c {shlex.quote(code)} {redirection}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stderr) == (status, "")


def test_compare_says_what_python_says(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = command(capsys, "compare", "runs/digits", "runs/digits-wide", "--format", "csv")
    read = pd.read_csv(io.StringIO(out)).set_index("indicator")
    expected = open_run("runs/digits").compare(open_run("runs/digits-wide"))
    pd.testing.assert_frame_equal(read, expected)
    _, out, _ = command(capsys, "compare", "runs/digits", "runs/digits-wide")
    assert "share of the other front that this run equals or dominates" in out


def test_compare_of_different_objectives_needs_them_given(capsys: pytest.CaptureFixture[str]) -> None:
    other = open_run("runs/digits-wide")
    other.directory.write_sweep(other.sweep() | {"objectives": {"macs": "min"}}, {})
    status, _, err = command(capsys, "compare", "runs/digits", "runs/digits-wide")
    assert status == 2
    assert "runs of different objectives need --max and --min" in err
    assert command(capsys, "compare", "runs/digits", "runs/digits-wide", "--min", "macs")[0] == 0


def constrain(text: str) -> None:
    """Bound the points of ``runs/digits``."""
    directory = RunDirectory("runs/digits")
    directory.write_sweep({**(directory.read_sweep() or {}), "constraints": [text]}, {})


def test_without_other_objectives_a_front_keeps_the_constraints_of_the_sweep(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bound = int(open_run("runs/digits").points()["macs"].min())
    constrain(f"macs <= {bound}")
    _, kept, _ = command(capsys, "front", "runs/digits", "--format", "json")
    assert {row["macs"] for row in json.loads(kept)} == {bound}
    _, free, _ = command(capsys, "front", "runs/digits", "--max", "accuracy", "--format", "json")
    assert {row["macs"] for row in json.loads(free)} != {bound}
    constrain("macs <= 1")
    nearest = open_run("runs/digits").best(minimize="macs")["point"]
    status, _, err = command(capsys, "front", "runs/digits")
    assert (status, err) == (
        2,
        "error: a front needs a point, but none of the 4 points satisfies macs <= 1; "
        f"the nearest is {nearest} with macs {bound}\n",
    )


def test_a_text_that_looks_like_a_formula_is_none_in_a_spreadsheet() -> None:
    frame = pd.DataFrame({"reason": ["=cmd|'/c calc'!A0", "loss is nan", None], "macs": [-1, 2, 3]})
    read = pd.read_csv(io.StringIO(_content(frame, "csv").decode()))
    assert read["reason"].tolist()[:2] == ["'=cmd|'/c calc'!A0", "loss is nan"]
    assert read["macs"].tolist() == [-1, 2, 3]
