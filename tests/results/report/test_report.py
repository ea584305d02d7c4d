from __future__ import annotations

import json
import math
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typing_extensions import override

from results import LedgerEntry, Run, RunDirectory, open_run, open_runs
from results.report.elements import Html, element, table
from results.report.material import Material, labels_of
from results.report.write import report_html, write_report
from results.storage.ledger import Failure
from tests.results.browser import CHROMIUM, Browser, chromium
from tests.results.pictures import SWEEP, VERSIONS, night
from tests.results.rows import config_of, epoch_rows, key_of, point_rows
from tests.results.test_run import fill

VOID = {"meta", "wbr"}
EVIL = "<script>alert(1)</script>"
REASON = "died: </script><img src=x onerror=alert(1)> & 'quotes\" <!--"


class Page(HTMLParser):
    """A parsed page: tags with attributes, and texts by tag. Tags must close in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    @override
    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    @override
    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    @override
    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def words(self) -> str:
        return " ".join(text for tag, text in self.texts if tag not in ("script", "style"))

    def pictures(self) -> dict[str, Any]:
        data = [text for tag, text in self.texts if tag == "script" and text.startswith('{"shared"')]
        content: dict[str, Any] = json.loads("".join(data))
        return content["figures"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with content for every section."""
    return night(RunDirectory(tmp_path_factory.mktemp("night") / "run", create=True))


@pytest.fixture(scope="module")
def file(run: Run) -> Path:
    """The report of ``run``."""
    path = Path(run.directory.uri).with_name("report.html")
    write_report(run, path)
    return path


@pytest.fixture(scope="module")
def page(file: Path) -> Page:
    return Page(file.read_text(encoding="utf-8"))


def test_the_page_has_every_section_and_an_alternative_to_every_picture(page: Page) -> None:
    names = [attributes["id"] for attributes in page.all("section")]
    assert names == ["headline", "front", "fronts", "sparsity", "networks", "table", "hypervolume", "attainment",
                     "parallel", "curves", "failures", "sweep"]  # fmt: skip
    assert [link["href"] for link in page.all("a")] == [f"#{name}" for name in names]
    plots = [attributes for attributes in page.all("div") if "data-picture" in attributes]
    assert {plot["data-picture"] for plot in plots} == set(page.pictures())
    assert all(plot["role"] == "img" and plot["aria-label"] for plot in plots)
    captions = [text for tag, text in page.texts if tag == "figcaption"]
    assert len(captions) == len(plots)
    assert all(any(letter.isdigit() for letter in caption) for caption in captions)
    drawings = page.all("svg")
    assert len(drawings) == 3
    assert all(svg["role"] == "img" and svg["aria-label"] for svg in drawings)


def test_there_is_a_figure_for_every_choice(page: Page) -> None:
    pictures = page.pictures()
    assert set(pictures["front"]) == {
        f"{x}|{color}"
        for x in ("macs", "effective_macs", "memory_bytes")
        for color in ("splitting", "regularization", "threshold")
    }
    assert set(pictures["hypervolume"]) == {"trials", "epochs", "wall_s"}
    assert set(pictures["sparsity"]) == {""}


def test_the_page_loads_nothing_and_runs_its_own_scripts_only(page: Page) -> None:
    assert len(page.all("script")) == 3
    assert not [name for name in ("link", "img", "iframe", "object") if page.all(name)]
    assert not [attributes for _, attributes in page.tags if "src" in attributes]
    (policy,) = [meta["content"] for meta in page.all("meta") if "http-equiv" in meta]
    assert policy is not None
    assert "default-src 'none'" in policy
    assert policy.count("sha256-") == 2
    assert policy.split("style-src")[0].count("'unsafe-inline'") == 0


def test_the_page_names_commands_and_versions(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(run.directory.uri).parent)
    versions = run.directory.read_versions()
    earlier = {"earlier": [{"torch": "2.12.0", "until": "2025-12-24"}]}
    monkeypatch.setattr(run.directory, "read_versions", lambda: {**versions, **earlier})
    text = report_html(run)
    page = Page(text)
    best = run.front()["point"][0]
    assert "until 2025-12-24: torch 2.12.0" in page.words()
    assert f'data-copy="shrinksweep export run {best}"' in text
    assert "torch 2.13.0" in page.words()
    assert "space.splitting" in "".join(text for tag, text in page.texts if tag == "pre")
    assert page.pictures()["front"]["macs|splitting"]["layout"]["meta"] == {
        "command": "shrinksweep export run {point}"
    }


def test_key_numbers_are_those_of_the_run(run: Run, page: Page) -> None:
    values = [text for tag, text in page.texts if tag == "dd"]
    points = run.points()
    assert values[0] == "12 of 12"
    assert values[2:4] == ["36", str(len(run.front()))]
    assert f"{100 * points['accuracy'].max():.1f} %" in values
    assert str(points["macs"].min()) in {value.strip() for value in values}
    assert "multiply-adds" in page.words()


def test_the_page_says_when_the_run_was_and_how_long_it_took(run: Run, page: Page) -> None:
    progress = run.progress()
    words = page.words()
    assert "wall time" in words
    begun = (progress["at"] - pd.to_timedelta(progress["epoch_s"], unit="s")).min()
    assert f"{begun:%Y-%m-%d %H:%M} to " in words


def test_infeasible_points_are_counted_but_not_drawn(local: RunDirectory) -> None:
    run = night(local, file={**SWEEP, "constraints": ["macs <= 1000"]})
    page = Page(report_html(run))
    assert "that satisfy macs <= 1000; 12 others do not" in page.words()
    traces = page.pictures()["fronts"]["splitting|macs"]["data"]
    assert [trace["name"] for trace in traces] == ["s = 1", "s = 2"]
    assert [trace.name for trace in run.plot_fronts().data] == ["s = 1", "s = 2"]


STRANGE: list[dict[str, Any]] = [
    {"accuracy": math.inf},
    {"accuracy": -math.inf, "macs": 10**18},
    {"accuracy": math.nan, "memory_bytes": math.inf},
    {"sparsity": math.inf, "loss": -math.inf, "effective_macs": 1e308},
]


def test_numbers_that_are_not_finite_break_no_figure(local: RunDirectory) -> None:
    for index, values in enumerate([{}, *STRANGE]):
        local.write_points(key_of(index), point_rows(index, regularization=float(index), **values))
        losses = {name: values[name] for name in ("accuracy", "loss") if name in values}
        local.write_progress(key_of(index), epoch_rows(index, 3, **losses))
    text = report_html(open_run(local))
    page = Page(text)
    assert "1: not measured" in page.words()
    assert len(page.pictures()) > 5
    assert "Infinity" not in "".join(text for tag, text in page.texts if text.startswith('{"shared"'))


def test_labels_are_short_but_unambiguous() -> None:
    keys = ["0123456789abcdef", "0123456700000000", "fedcba9876543210"]
    points = pd.DataFrame(
        {"trial_key": keys, "rung": [0, 1, 2], "point": [f"{key}-0{i}" for i, key in enumerate(keys)]}
    )
    assert labels_of(points).tolist() == ["0123456789abcdef-00", "0123456700000000-01", "fedcba98-02"]


def test_hostile_strings_are_escaped(local: RunDirectory) -> None:
    run = hostile(local)
    text = report_html(run)
    page = Page(text)
    assert len(page.all("script")) == 3
    assert not page.all("img")
    assert "<!--" not in text.split("<main>")[1].split("<script")[0]
    assert [text for tag, text in page.texts if tag == "h1"] == [EVIL]
    assert REASON in page.words()
    assert page.pictures()["front"]
    assert [text for tag, text in page.texts if tag == "title" and EVIL in text]


def hostile(directory: RunDirectory) -> Run:
    edges = [[EVIL, 0], ['"><img src=x onerror=alert(1)>', 1]]
    genotype = json.dumps({"normal": edges, "normal_concat": [2]})
    objectives = {"accuracy": "max", "macs": "min", "memory_bytes": "min"}
    sweep = {
        "name": EVIL,
        "objectives": objectives,
        "sweep": {"space.splitting": [1, 2], "data.path": [EVIL]},
    }
    config = json.dumps({"data": {"path": EVIL}})
    night(directory, 4, sweep, genotype=genotype, codec="</script>%{x}", sweep=EVIL, config=config)
    entry = LedgerEntry(
        index=4,
        key=key_of(4),
        seed=0,
        config=config_of(4),
        state="failed",
        failures=[Failure(message=REASON), Failure(message=EVIL)],
    )
    directory.write_entry(entry)
    return Run([directory])


def test_a_run_without_results_says_what_is_missing(local: RunDirectory) -> None:
    local.write_sweep(SWEEP, VERSIONS)
    page = Page(report_html(Run([local])))
    assert page.words().count("No trial has finished yet") >= 4
    assert "No trial has finished an epoch yet" in page.words()
    assert page.pictures() == {}


def test_a_half_finished_run(local: RunDirectory) -> None:
    night(local, trials=2)
    for index in (2, 3):
        local.write_entry(LedgerEntry(index=index, key=key_of(index), seed=0, config=config_of(index)))
    local.write_progress(key_of(2), epoch_rows(2, steps=1))
    page = Page(report_html(Run([local])))
    assert "2 of 4" in page.words()
    assert "1 running" in page.words()


def test_progress_without_points_is_drawn(local: RunDirectory) -> None:
    local.write_entry(LedgerEntry(index=0, key=key_of(0), seed=0, config=config_of(0)))
    local.write_progress(key_of(0), epoch_rows(0, steps=3))
    page = Page(report_html(Run([local])))
    assert set(page.pictures()) == {"curves"}
    assert "no sweep file was stored" in page.words()


def test_points_without_progress_are_drawn(local: RunDirectory) -> None:
    local.write_points(key_of(0), point_rows(0))
    page = Page(report_html(Run([local])))
    assert set(page.pictures()) == {"front", "fronts", "sparsity", "hypervolume", "parallel"}


def test_one_point(local: RunDirectory) -> None:
    local.write_points(key_of(0), point_rows(0, rungs=1))
    page = Page(report_html(Run([local])))
    assert "All points have the same values" in page.words()
    assert "front" in page.pictures()


def test_a_genotype_that_cannot_be_drawn_is_shown_as_text(local: RunDirectory) -> None:
    page = Page(report_html(fill(local)))
    assert "This genotype cannot be drawn." in page.words()
    assert not page.all("svg")


def test_broken_files_are_listed(local: RunDirectory) -> None:
    run = night(local, trials=2)
    Path(local.uri, "points", f"{key_of(1)}.parquet").write_bytes(b"PAR1")
    page = Page(report_html(Run([RunDirectory(local.uri)])))
    assert f"points/{key_of(1)}.parquet" in page.words()
    assert run.problems() == []


def test_other_objectives_have_axes_of_their_own(local: RunDirectory) -> None:
    sweep = {**SWEEP, "objectives": {"loss": "min", "params": "min", "sparsity": "max"}}
    pictures = Page(report_html(night(local, file=sweep))).pictures()
    assert "params|splitting" in pictures["front"]
    assert "loss|threshold" in pictures["front"]


def test_swept_text_flags_and_missing_values_are_colours_too(local: RunDirectory) -> None:
    swept: dict[str, list[object]] = {
        "space.output_node": ["concat", "partial"],
        "data.flip": [True, False],
        "data.crop": [1],
    }
    local.write_sweep({**SWEEP, "sweep": swept}, VERSIONS)
    for index in range(4):
        flip = {"flip": bool(index % 2)} if index < 3 else {"crop": 1}
        node = swept["space.output_node"][index // 2]
        config = config_of(index, data=flip, space__output_node=node)
        local.write_entry(LedgerEntry(index=index, key=key_of(index), seed=0, config=config))
        local.write_progress(key_of(index), epoch_rows(index))
        local.write_points(key_of(index), point_rows(index, output_node=node, config=json.dumps(config)))
    pictures = Page(report_html(Run([local]))).pictures()
    for column, names in {
        "output_node": ["output_node = concat", "output_node = partial"],
        "data_flip": ["data_flip = False", "data_flip = True"],
        "data_crop": ["data_crop = 1"],
    }.items():
        traces = pictures["fronts"][f"{column}|macs"]["data"]
        assert [trace["name"] for trace in traces] == names
        assert f"macs|{column}" in pictures["front"]
        assert f"accuracy|{column}" in pictures["curves"]


def test_an_objective_that_was_never_measured_leaves_the_front_empty_and_says_so(local: RunDirectory) -> None:
    page = Page(
        report_html(night(local, file={**SWEEP, "objectives": {"accuracy": "max", "latency_1_ms": "min"}}))
    )
    assert "not measured" in page.words()
    assert "latency_1_ms|splitting" in page.pictures()["front"]
    assert not page.all("svg")


def test_several_runs_on_one_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        night(RunDirectory(tmp_path / name, create=True), trials=2)
    text = report_html(open_runs(str(tmp_path / "*")))
    page = Page(text)
    assert "4 of 4" in page.words()
    assert "of 4 trials" in page.words()
    front = page.pictures()["front"]["macs|run"]
    assert {trace["name"] for trace in front["data"]} >= {"run = a", "run = b"}
    assert front["layout"]["meta"] == {"command": "shrinksweep export {point}"}
    assert 'data-copy="shrinksweep export b 0' in text


def test_the_file_is_replaced_in_one_step(local: RunDirectory, tmp_path: Path) -> None:
    run, path = Run([local]), tmp_path / "report.html"
    path.write_text("old")
    write_report(run, path)
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["report.html", "run"]
    with pytest.raises(OSError, match="missing"):
        write_report(run, tmp_path / "missing" / "report.html")


def test_elements_escape_text_that_is_not_markup() -> None:
    assert element("p", "<b>", Html("<i></i>"), title='"') == '<p title="&quot;">&lt;b&gt;<i></i></p>'
    cells = table(["<"], [["&"]], caption=">")
    assert Page(cells).words().split() == [">", "<", "&"]


# --- in a browser ---


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    with chromium(tmp_path_factory.mktemp("profile")) as found:
        yield found


def show(browser: Browser, path: Path, *, width: int = 1200, height: int = 900, dark: bool = False) -> None:
    browser.events.clear()
    browser.open(path, width, height, dark=dark)


def quiet(browser: Browser, path: Path) -> None:
    """Check that nothing went wrong, popped up or was fetched besides the page."""
    assert browser.complaints() == []
    assert [address for address in browser.fetched() if not address.startswith(("data:", "blob:"))] == [
        path.as_uri()
    ]
    assert not [event for event in browser.events if event["method"] == "Page.javascriptDialogOpening"]


DRAWN = "document.querySelector('[data-picture={name}] .main-svg, [data-picture={name}] canvas') !== null"
FIRST = """(() => {
  const plot = document.querySelector('[data-picture=front]'), box = plot.getBoundingClientRect();
  const { xaxis, yaxis } = plot._fullLayout, [first] = plot.calcdata.at(-1);
  return [box.x + xaxis._offset + xaxis.l2p(first.x), box.y + yaxis._offset + yaxis.l2p(first.y)];
})()"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_picture_is_drawn_without_complaint(browser: Browser, file: Path, dark: bool) -> None:
    show(browser, file, dark=dark)
    for name in ("front", "fronts", "sparsity", "hypervolume", "attainment", "parallel", "curves"):
        browser.value(f"document.querySelector('[data-picture={name}]').scrollIntoView()")
        browser.wait(DRAWN.format(name=name))
    color = browser.value("getComputedStyle(document.querySelector('.xtick text, .ytick text')).fill")
    buttons = browser.value("[...document.querySelectorAll('.modebar-btn')].map(b => b.dataset.title).join()")
    assert "Share" not in buttons  # it would upload the picture
    red = int(color.split("(")[1].split(",")[0])
    assert (red > 128) == dark
    quiet(browser, file)


def test_hover_shows_the_point_and_a_click_the_command(browser: Browser, run: Run, file: Path) -> None:
    show(browser, file)
    browser.wait(DRAWN.format(name="front"))
    x, y = browser.value(FIRST)
    browser.point(x - 2, y)
    browser.point(x, y)
    browser.wait("document.querySelector('.hoverlayer .hovertext') !== null")
    shown = browser.value("document.querySelector('.hoverlayer .hovertext').textContent")
    assert "shrinksweep export" in shown
    assert all(name in shown for name in run.objectives())  # also the one that is on no axis
    browser.point(x, y, click=True)
    browser.wait("document.querySelector('#front .picked code') !== null")
    command = browser.value("document.querySelector('#front .picked code').textContent")
    assert browser.value("document.querySelector('#front .picked .copy').dataset.copy") == command
    verb, run_argument, point = command.rsplit(" ", 2)
    assert (verb, run_argument) == ("shrinksweep export", run.directory.uri)
    assert point in set(run.points()["point"])
    quiet(browser, file)


def test_a_choice_changes_the_picture(browser: Browser, file: Path) -> None:
    show(browser, file)
    browser.wait(DRAWN.format(name="front"))
    browser.value(
        "(() => { const select = document.querySelector('#front select'); select.value = 'memory_bytes';"
        " select.dispatchEvent(new Event('change')); })()"
    )
    browser.wait("document.querySelector('#front .xtitle').textContent.startsWith('memory')")
    quiet(browser, file)


def test_a_click_on_a_heading_sorts_the_table(browser: Browser, run: Run, file: Path) -> None:
    show(browser, file)
    column = (
        "[...document.querySelectorAll('#table tbody tr')].map((row) => Number(row.cells[1].dataset.value))"
    )
    click = "document.querySelectorAll('#table th button')[1].click()"
    assert browser.value(column) == sorted(run.front()["accuracy"], reverse=True)
    for falling in (False, True):
        browser.value(click)
        assert browser.value(column) == sorted(run.front()["accuracy"], reverse=falling)
    assert browser.value("document.querySelectorAll('#table th')[1].ariaSort") == "descending"
    quiet(browser, file)


def test_a_hostile_run_does_nothing_in_a_browser(
    browser: Browser, local: RunDirectory, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    write_report(hostile(local), path)
    show(browser, path)
    browser.wait(DRAWN.format(name="front"))
    assert browser.value("document.images.length") == 0
    assert browser.value("document.scripts.length") == 3
    quiet(browser, path)


def test_a_phone_needs_no_scrolling_sideways(browser: Browser, file: Path) -> None:
    show(browser, file, width=360, height=740)
    browser.value("document.querySelector('[data-picture=front]').scrollIntoView()")  # drawn when it is seen
    browser.wait(DRAWN.format(name="front"))
    assert browser.value("document.documentElement.scrollWidth") <= 360


def test_on_paper_nothing_is_cut_off_and_every_picture_is_there(browser: Browser, file: Path) -> None:
    show(browser, file, width=720)
    browser.call("Emulation.setEmulatedMedia", media="print")
    browser.value("dispatchEvent(new Event('beforeprint'))")
    for name in ("front", "fronts", "sparsity", "hypervolume", "attainment", "parallel", "curves"):
        browser.wait(DRAWN.format(name=name))
    assert browser.value("document.documentElement.scrollWidth") <= 720
    figures = "[...document.querySelectorAll('figure:has([data-picture])')]"
    assert (
        browser.value(f"Math.max(...{figures}.map((figure) => figure.offsetHeight))") <= 450
    )  # two on a page
    quiet(browser, file)
    browser.call("Emulation.setEmulatedMedia", media="")


def test_an_empty_run_is_a_quiet_page(browser: Browser, local: RunDirectory, tmp_path: Path) -> None:
    local.write_sweep(SWEEP, VERSIONS)
    write_report(open_run(local.uri), tmp_path / "report.html")
    show(browser, tmp_path / "report.html")
    assert "No trial has finished yet" in browser.value("document.body.innerText")
    quiet(browser, tmp_path / "report.html")


def test_pictures_begin_with_an_objective_and_a_parameter_that_varies(local: RunDirectory) -> None:
    objectives = {"accuracy": "max", "effective_macs": "min"}
    local.write_sweep({"name": "test", "objectives": objectives, "sweep": {"space.splitting": [1]}}, {})
    local.write_points(key_of(0), point_rows(0))
    material = Material.of(open_run(local))
    assert material.costs == ["effective_macs", "macs", "memory_bytes"]
    assert material.factors == ["threshold", "splitting", "regularization"]
