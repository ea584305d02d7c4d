"""Every fenced block of the README and of docs/ is run, or held against what it names."""

from __future__ import annotations

import importlib.util
import re
import runpy
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from orchestrator import Sweep
from orchestrator.cli import app
from orchestrator.preflight.placement import this_machine
from orchestrator.preflight.plan import make_plan
from results import open_run
from tests.documents.commands import check_command
from tests.documents.snippets import FENCE, HOW_TO, PAGES, ROOT, Snippet, name_of, snippets

POINT = re.compile(r"\b[0-9a-f]{8}-\d\d\b")
LANGUAGES = {"python", "yaml", "bash", "diff", "text"}
OTHERS = {"bash", "docker", "kubectl", "sbatch", "ray", "source", "python3"}
"""Programs that a page may name and that are not called here; the files that they are given must exist."""

# Optional arguments of pandas and torch that will change one day are not the pages' business.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


def of_language(language: str) -> list[Any]:
    """Return the blocks of a language as parameters; files, and the pages that edit the code, are tested elsewhere."""
    return [
        pytest.param(snippet, id=snippet.place)
        for page in PAGES
        if page.parent != HOW_TO
        for snippet in snippets(page)
        if snippet.language == language
    ]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_blocks_are_of_a_language_that_is_tested(page: Path) -> None:
    text = page.read_text()
    assert len(re.findall(r"^```", text, flags=re.MULTILINE)) == 2 * len(snippets(page))
    assert {snippet.language for snippet in snippets(page)} <= LANGUAGES


@pytest.mark.parametrize("snippet", of_language("yaml"))
def test_a_sweep_on_a_page_can_be_planned(snippet: Snippet) -> None:
    sweep = Sweep.from_mapping(yaml.safe_load(snippet.text))
    assert make_plan(sweep, None, this_machine()).trials > 0


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent != HOW_TO], ids=name_of)
def test_the_python_of_a_page_runs(page: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    names: dict[str, Any] = {}
    for snippet in snippets(page):
        if snippet.language == "python":
            exec(compile(snippet.text, snippet.place, "exec"), names)


@pytest.mark.parametrize("snippet", of_language("bash"))
def test_the_commands_of_a_page_run(snippet: Snippet, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    point = open_run("runs/digits").front()["point"].iloc[0]
    text = POINT.sub(point, snippet.text.replace("\\\n", " "))
    text = re.sub(r"accuracy (>=?) 0\.\d+", r"accuracy \1 0.01", text)  # networks that trained for a second
    for line in text.splitlines():
        if words := shlex.split(line, comments=True):
            run_or_check(words)


def run_or_check(words: list[str]) -> None:
    """Run a command of this project on the tiny run; of any other, check that what it names is there."""
    program, *arguments = words
    if Path(program).name == "shrinksweep":
        run_or_parse(arguments)
    elif program == "make":
        assert f"\n{arguments[0]}:" in (ROOT / "Makefile").read_text()
    elif program == "python" and arguments[:1] == ["-m"]:
        assert importlib.util.find_spec(arguments[1]), arguments[1]
    elif program == "python":
        runpy.run_path(arguments[0], run_name="__main__")
    else:
        assert Path(program).name in OTHERS or program.endswith("/bin/pip"), f"nobody knows {program}"
        files = [word for word in arguments if word.startswith((".ci/", "deploy/", "examples/"))]
        assert all((ROOT / file).exists() for file in files)


def run_or_parse(arguments: list[str]) -> None:
    """Run a command line; only parse one that would need a cluster, would train, or would never end."""
    if arguments[0].startswith("-"):  # --help, --install-completion
        assert CliRunner().invoke(app, [arguments[0], "--help"]).exit_code == 0
        return
    elsewhere = {"--address", "--watch", "-w", "SWEEP.yaml"} & {*arguments} or "s3://" in " ".join(arguments)
    trains = arguments[0] == "launch" and len(arguments) > 2
    if elsewhere or trains:
        check_command(arguments)
        return
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_inside_a_sentence_are_ones_that_the_command_line_takes(page: Path) -> None:
    prose = FENCE.sub("", page.read_text())
    commands = [shlex.split(words)[1:] for words in re.findall(r"`(shrinksweep [a-z][^`]+)`", prose)]
    known = {command.callback.__name__ for command in app.registered_commands if command.callback}
    assert {line[0] for line in commands} <= known
    for line in commands:
        if len(line) > 1:  # else the command is only named
            check_command(line)


def test_the_numbers_of_the_tutorial_are_those_of_its_sweep() -> None:
    plan = make_plan(Sweep.from_yaml(ROOT / "examples" / "digits.yaml"), None, this_machine())
    assert (plan.trials, plan.searches, plan.rungs) == (9, 3, 16)
    text = " ".join((ROOT / "docs" / "tutorial.md").read_text().split())
    assert "lambda over three: nine trials, which share three searches" in text
    assert "sixteen points a trial" in text


def test_a_command_that_is_no_longer_there_is_found() -> None:
    with pytest.raises(Exception, match=r"No such option.*--adress"):
        check_command(["launch", "sweep.yaml", "--adress", "auto"])
