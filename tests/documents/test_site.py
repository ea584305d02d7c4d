"""The document site: it builds without a warning and without a network, and its generated pages are complete."""

from __future__ import annotations

import html.parser
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from docs._code import hooks, pictures, python_pages
from orchestrator.cli import app
from orchestrator.sweep.dimensions import leaf_fields
from orchestrator.sweep.sweep import Sweep
from tests.documents.snippets import PAGES, ROOT, name_of
from tests.results.browser import CHROMIUM, chromium

LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.fixture(scope="module")
def generated() -> dict[str, str]:
    return hooks.generated()


def test_every_field_of_a_sweep_file_has_its_line(generated: dict[str, str]) -> None:
    page = generated["reference/sweep_file.md"]
    names = [*Sweep.model_fields, *(path.rpartition(".")[2] for path in leaf_fields())]
    assert [name for name in names if f"\n| `{name}` | " not in page] == []
    lines = [line for line in page.splitlines() if line.startswith("| `") and "](#" not in line]
    assert [line for line in lines if line.endswith("|  |")] == []  # every field says what it means


def test_every_command_is_on_its_page(generated: dict[str, str]) -> None:
    page = generated["reference/commands.md"]
    for command in app.registered_commands:
        name = command.callback.__name__ if command.callback else ""
        assert f"\n## {name}\n" in page
        assert f"Usage: shrinksweep {name} " in page


@pytest.mark.parametrize("package", python_pages.PACKAGES)
def test_every_public_name_is_in_the_python_reference(package: str, generated: dict[str, str]) -> None:
    page = generated[f"reference/{package.rpartition('.')[2]}.md"]
    assert [name for name in import_module(package).__all__ if f"::: {package}.{name}\n" not in page] == []


@pytest.mark.parametrize("package", python_pages.PACKAGES)
def test_every_public_name_says_what_it_is(package: str) -> None:
    names = {name: getattr(import_module(package), name) for name in import_module(package).__all__}
    methods = {
        f"{name}.{method}": getattr(value, "fget", None) or getattr(value, "__func__", value)
        for name, kind in names.items()
        if inspect.isclass(kind)
        for method, value in vars(kind).items()
        if not method.startswith("_") and method not in ("extra_repr", "model_config")
    }
    called = {name: value for name, value in {**names, **methods}.items() if callable(value)}
    assert [name for name, value in called.items() if not inspect.getdoc(value)] == []


def test_every_report_that_is_kept_has_its_section(generated: dict[str, str]) -> None:
    reports = {file.name.split("-amd")[0] for file in (ROOT / "benchmarks" / "results").glob("*.json")}
    sections = set(re.findall(r"^## (\w+)$", generated["benchmarks.md"], flags=re.MULTILINE))
    assert {name.split("-")[0] for name in reports} <= sections


@pytest.mark.parametrize("name", pictures.PICTURES)
def test_a_picture_says_in_words_what_it_shows(name: str) -> None:
    assert re.search(r"<svg[^>]*role=\"img\" aria-label=\"[^\"]{40}", pictures.figure(name))


def test_every_picture_that_a_page_asks_for_is_drawn() -> None:
    asked = [name for page in PAGES for name in hooks.PICTURE.findall(page.read_text())]
    assert set(asked) == set(pictures.PICTURES)


def test_the_lines_of_error_that_a_page_explains_are_ones_that_are_said() -> None:
    rows = re.findall(r"^\| `(.+?)` \| ", (ROOT / "docs" / "failures.md").read_text(), flags=re.MULTILINE)
    assert len(rows) > 10
    code = "".join(
        file.read_text()
        for room in ("orchestrator", "results", "trials")
        for file in (ROOT / room).rglob("*.py")
    )
    fragments = [fragment.strip() for row in rows for fragment in row.split("...")]
    assert [fragment for fragment in fragments if fragment not in code] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_of_a_page_lead_somewhere(page: Path, generated: dict[str, str]) -> None:
    made = {(ROOT / "docs" / path).resolve() for path in generated}
    for link in LINK.findall(page.read_text()):
        if "://" not in link:
            target = (page.parent / link).resolve()
            assert target.exists() or target in made, f"{link} of {page.name}"


# --- the whole site ---


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "http_proxy": "http://127.0.0.1:9"}
    environment["https_proxy"] = environment["http_proxy"]  # nothing is behind it: there is no network
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 15
    assert [(page.name, url) for page in pages for url in loaded(page.read_text()) if "//" in url] == []


@pytest.mark.slow
def test_the_python_reference_shows_signatures_and_docstrings(site: Path) -> None:
    page = (site / "reference" / "results.html").read_text()
    text = re.sub(r"<[^>]+>", "", page)
    assert "hypervolume_history" in text
    assert "Made by open_run" in text


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_pages_open_from_the_disk_with_their_pictures_and_without_complaints(
    site: Path, tmp_path: Path
) -> None:
    with chromium(tmp_path) as page:
        for dark in (False, True):
            page.open(site / "concepts.html", dark=dark)
            widths = page.value(
                "[...document.querySelectorAll('figure svg')].map(s => s.getBoundingClientRect().width)"
            )
            assert len(widths) == 4
            assert min(widths) > 300
        page.open(site / "index.html", width=400)
        assert page.value("document.documentElement.scrollWidth") <= 400  # readable on a phone
        assert page.complaints() == []
        assert {url.partition(":")[0] for url in page.fetched()} <= {"file", "data"}


class Loads(html.parser.HTMLParser):
    """Collects what a browser would fetch by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in ("script", "img", "iframe", "source"):
            self.urls.append(values.get("src") or "")
        if tag == "link" and values.get("rel") not in ("canonical", "next", "prev"):
            self.urls.append(values.get("href") or "")


def loaded(page: str) -> Iterator[str]:
    parser = Loads()
    parser.feed(page)
    return iter(parser.urls)
