"""The run of nine minutes: a whole rehearsal with few packages, and what its parts do when something goes wrong."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from fnmatch import fnmatch
from functools import partial
from pathlib import Path

import pytest
import torch

from benchmarks import gpu_day
from benchmarks.gpu import plan, report, syncs
from benchmarks.gpu.day import Day, nothing_found
from benchmarks.gpu.figures import FIGURES, figures
from benchmarks.gpu.ladder_work import columns_that_differ
from benchmarks.gpu.numerics import described, differences
from benchmarks.gpu.process import Outcome, run
from benchmarks.gpu.sections.kernels import wide_gram
from benchmarks.gpu.sections.profile import Kernel, busy_us, longest
from benchmarks.harness import save
from benchmarks.machine import Machine
from docs._code import benchmark_page
from tests.documents.snippets import ROOT

HOST: Machine = {"cpu": "some", "cores": 2, "python": "3.11", "os": "Linux", "date": "2026-01-02T03:04:05"}

ALLOWED = {
    "torch": "functorch torchgen triton sympy mpmath networkx jinja2 markupsafe filelock fsspec setuptools",
    "numpy": "",
    "pandas": "dateutil six pytz tzdata",
    "pyarrow": "",
    "PIL": "",
    "pydantic": "pydantic_core annotated_types typing_inspection",
    "yaml": "",
    "lazy_loader": "packaging",
    "typing_extensions": "",
}
"""The packages of docs/gpu.md, and what they need themselves."""

ALONE = f"""
import importlib.metadata, runpy, sys
from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder

ALLOWED = {sorted({*ALLOWED, *" ".join(ALLOWED.values()).split()})!r}

class FewPackages:
    find_distributions = PathFinder.find_distributions

    @staticmethod
    def find_spec(name, path=None, target=None):
        spec = PathFinder.find_spec(name, path, target)
        installed = spec is not None and "site-packages" in str(spec.origin or spec.submodule_search_locations)
        return None if installed and name.partition(".")[0] not in ALLOWED else spec

def distribution(name, found=importlib.metadata.distribution):
    if name == "shrinksweep":
        raise importlib.metadata.PackageNotFoundError(name)
    return found(name)

sys.meta_path[:] = [BuiltinImporter, FrozenImporter, FewPackages]
importlib.metadata.distribution = distribution
sys.argv[0] = "gpu_day"
runpy.run_module("benchmarks.gpu_day", run_name="__main__")
"""
"""Runs gpu_day where nothing is installed but the packages of docs/gpu.md: shrinksweep is only on the path."""


@pytest.mark.slow
def test_a_rehearsal_runs_every_section_from_a_checkout_with_few_packages(tmp_path: Path) -> None:
    target = tmp_path / "gpu_day.json"
    command = [sys.executable, "-c", ALONE, "--device", "cpu", "--tiny", "--json", str(target)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "http_proxy": "http://127.0.0.1:9"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    content = json.loads(target.read_text())
    assert content["benchmark"] == "gpu_day"
    assert content["machine"]["gpu"] is None
    assert [(figure["name"], figure["value"]) for figure in content["figures"]] == [
        (declared.name, None) for declared in FIGURES
    ]  # a rehearsal measures nothing
    tables = {table["title"]: table["rows"] for table in content["tables"]}
    states = {row["section"]: (row["state"], row["what went wrong"]) for row in tables["sections"]}
    assert states == {section.name: ("done", "") for section in plan.SECTIONS}
    checks = [row["check"] for row in tables["checks"] if row["holds"] == "yes"]
    for name in ("float64, darts", "float64, hybrid", "float64, attention", "float64, PC-DARTS"):
        assert name in checks
    assert "a stopped and resumed trial is equal" in checks
    assert {"step: a step", "ladder: a rung", "sharing: processes at the same time"} <= set(tables)


def test_the_limits_of_all_sections_fit_into_nine_minutes() -> None:
    assert sum(section.limit_s for section in plan.SECTIONS) <= plan.SECONDS - plan.MARGIN_S
    assert plan.SECONDS <= 540


def test_correctness_comes_before_speed() -> None:
    names = [section.name for section in plan.SECTIONS]
    assert names[:5] == ["machine", "exactness", "fused", "trial", "graph"]


def test_every_section_is_a_file_and_every_file_a_section() -> None:
    files = {file.stem for file in (ROOT / "benchmarks" / "gpu" / "sections").glob("[!_]*.py")}
    assert files == {section.name for section in plan.SECTIONS}
    assert {declared.section for declared in FIGURES} <= files


def test_the_page_has_every_section_with_its_limit_and_every_figure() -> None:
    page = (ROOT / "docs" / "gpu.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (.+) \|(.*)\|$", page, flags=re.MULTILINE)
    assert [(name, int(limit)) for name, limit, _, _ in rows] == [
        (section.name, section.limit_s) for section in plan.SECTIONS
    ]
    named = {name: re.findall(r"`([\w*]+)`", figures) for name, _, _, figures in rows}
    missing = [f for f in FIGURES if not any(fnmatch(f.name, pattern) for pattern in named[f.section])]
    assert missing == []


def test_selected_sections_run_after_the_first() -> None:
    assert [section.name for section in plan.selected(["ladder", "step"])] == ["machine", "step", "ladder"]
    assert plan.selected([]) == list(plan.SECTIONS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "speed"], "a section must be one of machine, exactness, .*, but got 'speed'"),
        (["--device", "cpu"], "without a GPU there is only a rehearsal: add --tiny"),
    ],
)
def test_bad_arguments_are_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gpu_day.main(arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert re.search(message, lines[0])


def test_missing_packages_are_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu_day, "NEEDED", ("torch", "nowhere_to_be_found"))
    assert gpu_day.main(["--device", "cpu", "--tiny"]) == 2
    assert capsys.readouterr().err == (
        "error: nowhere_to_be_found must be installed or carried along (docs/gpu.md)\n"
    )


# --- a section in its process ---


def day_in(folder: Path, limit_s: float = 60.0, *, tiny: bool = True) -> Day:
    return Day(torch.device("cpu"), tiny, time.monotonic() + limit_s, folder / "found.json")


def found_in(folder: Path) -> dict[str, object]:
    content: dict[str, object] = json.loads((folder / "found.json").read_text())
    return content


def measures_and(folder: Path, end: str) -> None:
    day_in(folder).figure("step_ms_fp32", 3.0)
    print("the last line")
    if end == "hangs":
        time.sleep(60)
    if end == "crashes":
        os.kill(os.getpid(), signal.SIGTERM)
    if end == "out of memory":
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate\nfar too much")
    if end == "raises":
        raise ValueError("no such thing")


@pytest.mark.parametrize(
    ("end", "state", "reason"),
    [
        ("ends", "done", ""),
        ("hangs", "timeout", "not done after 1 s"),
        ("crashes", "killed", "ended by SIGTERM"),
        ("out of memory", "out of memory", "OutOfMemoryError: CUDA out of memory"),
        ("raises", "failed", "ValueError: no such thing"),
    ],
)
def test_what_a_section_had_measured_is_kept_however_it_ends(
    end: str, state: str, reason: str, tmp_path: Path
) -> None:
    outcome = run(partial(measures_and, tmp_path, end), 1.0 if end == "hangs" else 60.0, tmp_path / "log")
    assert outcome.state == state
    assert reason in outcome.reason
    assert found_in(tmp_path)["figures"] == {"step_ms_fp32": 3.0}
    assert (outcome.last_lines == ()) == (state == "done")
    assert state == "done" or "the last line" in outcome.last_lines
    assert outcome.seconds < 30


def test_a_signal_handler_of_the_parent_does_not_hide_how_a_section_ended(tmp_path: Path) -> None:
    handler = signal.signal(signal.SIGTERM, lambda *_: os._exit(1))
    try:
        outcome = run(partial(measures_and, tmp_path, "crashes"), 60.0, tmp_path / "log")
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert (outcome.state, outcome.reason) == ("killed", "ended by SIGTERM")


def leaves_a_process(pipe: int) -> None:
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], pass_fds=[pipe])


def test_a_process_that_a_section_leaves_running_ends_with_it(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    start = time.monotonic()
    assert run(partial(leaves_a_process, writer), 60.0, tmp_path / "log").state == "done"
    os.close(writer)
    assert os.read(reader, 1) == b""  # the last process that could write has ended
    os.close(reader)
    assert time.monotonic() - start < 40


def test_an_attempt_that_fails_costs_only_itself(tmp_path: Path) -> None:
    day = day_in(tmp_path)
    with day.attempt("first", check=True):
        raise RuntimeError("not\nhere")
    day.figure("step_ms_bf16", 2.0)
    day.figure("step_ms_fp32", float("nan"))
    found = found_in(tmp_path)
    assert found["failures"] == ["first: RuntimeError: not here"]
    assert found["checks"] == [{"check": "first", "holds": False, "detail": "RuntimeError: not here"}]
    assert found["figures"] == {"step_ms_bf16": 2.0}
    assert found["reasons"] == {"step_ms_fp32": "got nan"}


def test_a_figure_has_to_be_declared(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="speed must be declared"):
        day_in(tmp_path).figure("speed", 1.0)


# --- the report ---


def ran(name: str, state: str = "done", reason: str = "", **found: object) -> report.Ran:
    section = next(section for section in plan.SECTIONS if section.name == name)
    return report.Ran(section, Outcome(state, 1.0, reason, ()), {**nothing_found(), **found})  # type: ignore[typeddict-item]


def test_a_figure_without_a_value_has_a_reason() -> None:
    sections = [
        ran("machine", figures={"copy_GB_per_s": 3000.0}, facts={"gpu": "Some GPU", "cuda": "13.0"}),
        ran("graph", reasons={"graph_equal": "device.graph is not there"}),
        ran("step", "timeout", "not done after 110 s", figures={"step_ms_fp32": 9.0}),
        report.skipped(plan.SECTIONS[-1], 3.2),
    ]
    content = report.build(sections, HOST, {}, rehearsal=False, commit="0123456789ab")
    assert content["machine"]["gpu"] == "Some GPU"
    assert content["versions"]["cuda"] == "13.0"
    assert content["versions"]["commit"] == "0123456789ab"
    values = {figure["name"]: figure["value"] for figure in content["figures"]}
    assert {name: value for name, value in values.items() if value is not None} == {
        "copy_GB_per_s": 3000.0, "step_ms_fp32": 9.0,
    }  # fmt: skip
    tables = {table["title"]: table["rows"] for table in content["tables"]}
    why = {row["figure"]: row["why"] for row in tables["figures that were not measured"]}
    assert set(why) == {name for name, value in values.items() if value is None}
    assert why["graph_equal"] == "device.graph is not there"
    assert why["step_ms_bf16"] == "section step: timeout, not done after 110 s"
    assert why["four_processes_speedup"] == "section sharing: skipped, only 3 s were left"
    assert why["float64_error"] == "section exactness has not run"
    assert not report.went_well(sections)


def test_the_page_shows_the_newest_report_of_each_gpu(tmp_path: Path) -> None:
    assert "nothing was measured" in benchmark_page.kept("gpu_day", tmp_path)
    for day, gpu, milliseconds in (("02", "Card A", 7.5), ("03", "Card A", 6.25), ("01", "Card B", 9.125)):
        host: Machine = {**HOST, "date": f"2026-01-{day}T00:00:00"}
        found = [ran("machine", facts={"gpu": gpu}), ran("step", figures={"step_ms_fp32": milliseconds})]
        save(report.build(found, host, {}, rehearsal=False, commit="0123456789ab"), folder=tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir())[0] == "gpu_day-card-a-2026-01-02.json"
    page = benchmark_page.kept("gpu_day", tmp_path)
    assert page.count("### Card A\n") == page.count("### Card B\n") == 1
    assert "| step_ms_fp32 | 6.25 | ms | – | – |" in page  # noqa: RUF001
    assert "9.125" in page
    assert "7.5" not in page
    assert "commit 0123456789ab" in page
    assert "## gpu_day" in benchmark_page.page(tmp_path)


def test_a_rehearsal_gives_no_figure_a_value() -> None:
    content = report.build(
        [ran("step", figures={"step_ms_fp32": 9.0})], HOST, {}, rehearsal=True, commit=None
    )
    assert all(figure["value"] is None for figure in content["figures"])


def test_a_check_that_fails_is_not_a_run_that_went_well() -> None:
    assert report.went_well([ran("step")])
    assert not report.went_well([ran("trial", checks=[{"check": "x", "holds": False, "detail": ""}])])
    assert not report.went_well([ran("trial", failures=["x: error"])])


def test_the_targets_are_those_that_were_promised() -> None:
    targets = {figure.name: figure.target for figure in figures({}) if figure.target is not None}
    assert targets.items() >= {
        "speedup_gpu": 8, "search_cifar10_min": 14, "roofline_share_bf16": 0.5, "float64_error": 1e-10,
    }.items()  # fmt: skip


# --- measuring ---


def test_overlapping_kernels_are_busy_once() -> None:
    kernels = [Kernel("a", 0, 10), Kernel("b", 5, 12), Kernel("a", 20, 21), Kernel("c", 6, 7)]
    assert busy_us(kernels) == 13
    assert longest(kernels, steps=2)[0] == ["a", 11 / 19, 1.0]


def test_synchronizations_of_a_step_are_what_more_steps_add() -> None:
    short, long = Counter({"end.py:1": 2, "step.py:9": 3}), Counter({"end.py:1": 2, "step.py:9": 6})
    assert syncs.per_step(short, long, steps=3) == {"step.py:9": 1.0}
    assert syncs.per_step(short, short, steps=3) == {}


def test_differences_of_two_states_are_named() -> None:
    one = {"weights": {"a": torch.zeros(2), "b": torch.ones(1)}, "steps": [1, 2], "gone": 0}
    other = {"weights": {"a": torch.tensor([0.0, 0.5]), "b": torch.ones(1)}, "steps": [1, 3]}
    assert list(differences(one, other)) == [
        ("gone", float("inf")), ("steps.1", float("inf")), ("weights.a", 0.5),
    ]  # fmt: skip
    assert described(differences(one, one)) == "bit for bit"
    assert described([("weights.a", 0.5)]) == "1 differ, the most weights.a by 0.5"


def test_rows_of_the_ladder_differ_in_counts_but_not_in_the_order_of_a_sum() -> None:
    left = {"loss": 1.0, "zeros": 100, "taps": [{"bytes": 8.0, "mean_magnitude": 1.0}]}
    same = {"loss": 1.0 + 1e-9, "zeros": 100, "taps": [{"bytes": 8.0, "mean_magnitude": 1.0 - 1e-9}]}
    other = {"loss": 1.1, "zeros": 101, "taps": [{"bytes": 9.0, "mean_magnitude": 1.0}]}
    assert columns_that_differ([left], [same]) == {}
    assert columns_that_differ([left], [other]) == {
        "loss": pytest.approx(0.1), "zeros": 0.01, "taps.bytes": 0.125,
    }  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_one_wide_gram_product_has_the_products_of_all_terms(dtype: torch.dtype) -> None:
    z = torch.randn(192, 12).to(dtype)
    terms = z.float().view(192, 3, 4)
    torch.testing.assert_close(wide_gram(z, 4), torch.einsum("nki,nkj->kij", terms, terms))
