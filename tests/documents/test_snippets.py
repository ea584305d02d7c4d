"""Every fenced block of the README and of docs/ runs, or is checked against what it names."""

from __future__ import annotations

import importlib.util
import re
import runpy
import shlex
from pathlib import Path

import pytest
import yaml
from _pytest.mark import ParameterSet
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
OTHERS = {"bash", "docker", "kubectl", "pip", "ray", "sbatch", "source"}
"""Programs that pages may name, but that are not run here; the files in their arguments must exist."""

# Deprecations in pandas and torch do not concern the pages.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


def of_language(language: str) -> list[ParameterSet]:
    """Return the blocks of a language as parameters; the how-to pages have a test of their own."""
    return [
        pytest.param(snippet, id=snippet.position)
        for page in PAGES
        if page.parent != HOW_TO
        for snippet in snippets(page)
        if snippet.language == language
    ]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_has_a_tested_language(page: Path) -> None:
    text = page.read_text()
    assert len(re.findall(r"^```", text, flags=re.MULTILINE)) == 2 * len(snippets(page))
    assert {snippet.language for snippet in snippets(page)} <= LANGUAGES


@pytest.mark.parametrize("snippet", of_language("yaml"))
def test_a_sweep_on_a_page_can_be_planned(snippet: Snippet) -> None:
    sweep = Sweep.from_mapping(yaml.safe_load(snippet.text))
    assert make_plan(sweep, None, this_machine()).trials > 0


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent != HOW_TO], ids=name_of)
def test_the_python_of_a_page_runs(page: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace)
    names: dict[str, object] = {}
    for snippet in snippets(page):
        if snippet.language == "python":
            exec(compile(snippet.text, snippet.position, "exec"), names)


@pytest.mark.parametrize("snippet", of_language("bash"))
def test_the_commands_of_a_page_run(
    snippet: Snippet, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace)
    point = open_run("runs/digits").front()["point"].iloc[0]
    text = POINT.sub(point, snippet.text.replace("\\\n", " "))
    text = re.sub(r"accuracy (>=?) 0\.\d+", r"accuracy \1 0.01", text)  # networks that trained for a second
    for line in text.splitlines():
        if words := shlex.split(line, comments=True):
            run_or_check(words)


def run_or_check(words: list[str]) -> None:
    """Run a command of this project on the small run; for other programs, check that the files they name exist."""
    program, arguments = Path(words[0]).name, words[1:]
    files = [word for word in arguments if word.startswith((".ci/", "deploy/", "examples/", "tests/"))]
    assert [file for file in files if not (ROOT / file).exists()] == []
    if program == "shrinksweep":
        run_or_parse(arguments)
    elif program == "make":
        assert f"\n{arguments[0]}:" in (ROOT / "Makefile").read_text()
    elif program in ("python", "python3") and arguments[0] == "-m":
        assert importlib.util.find_spec(arguments[1]), arguments[1]
    elif program == "python":
        runpy.run_path(arguments[0], run_name="__main__")
    else:
        assert program in OTHERS, f"unknown program {program}"


def run_or_parse(arguments: list[str]) -> None:
    """Run a command line; only parse it if it needs a cluster, trains, or never ends."""
    if arguments[0].startswith("-"):  # --help, --install-completion
        assert CliRunner().invoke(app, [arguments[0], "--help"]).exit_code == 0
        return
    needs_more = {"--address", "--watch", "-w", "SWEEP.yaml"} & {*arguments} or "s3://" in " ".join(arguments)
    trains = arguments[0] == "launch" and len(arguments) > 2
    if needs_more or trains:
        check_command(arguments)
        return
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_in_prose_are_accepted_by_the_command_line(page: Path) -> None:
    prose = FENCE.sub("", page.read_text())
    commands = [shlex.split(words)[1:] for words in re.findall(r"`(shrinksweep [a-z][^`]+)`", prose)]
    known = {command.callback.__name__ for command in app.registered_commands if command.callback}
    assert {line[0] for line in commands} <= known
    for line in commands:
        if len(line) > 1:  # else the command is only named
            check_command(line)


def test_the_numbers_in_the_tutorial_are_those_of_its_sweep() -> None:
    plan = make_plan(Sweep.from_yaml(ROOT / "examples" / "digits.yaml"), None, this_machine())
    assert (plan.trials, plan.searches, plan.rungs) == (9, 3, 16)
    text = " ".join((ROOT / "docs" / "tutorial.md").read_text().split())
    assert "lambda over three: nine trials, which share three searches" in text
    assert "sixteen points a trial" in text


def test_an_unknown_option_is_found() -> None:
    with pytest.raises(Exception, match=r"No such option.*--adress"):
        check_command(["launch", "sweep.yaml", "--adress", "auto"])
