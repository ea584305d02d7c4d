"""The document site: it builds without warnings and without a network, and its generated pages are complete."""

from __future__ import annotations

import html.parser
import inspect
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path

import pytest

from docs._code import code_map, hooks, pictures, python_pages
from orchestrator.cli import app
from orchestrator.sweep.dimensions import leaf_fields
from orchestrator.sweep.sweep import Sweep
from shrinksweep import ShrinksweepError
from tests.documents.snippets import PAGES, ROOT, name_of
from tests.results.browser import CHROMIUM, chromium

PUBLIC = [
    package
    for room in code_map.ROOMS
    for package in code_map.packages(room)
    if package != python_pages.COMMANDS
]
"""Packages that export public names."""
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.fixture(scope="module")
def generated() -> dict[str, str]:
    return hooks.generated()


def test_every_field_of_a_sweep_file_has_its_line(generated: dict[str, str]) -> None:
    page = generated["reference/sweep_file.md"]
    names = [*Sweep.model_fields, *(path.rpartition(".")[2] for path in leaf_fields())]
    names[names.index("start")] = "from"  # as it is written: a keyword of Python
    assert [name for name in names if f"\n| `{name}` | " not in page] == []
    lines = [line for line in page.splitlines() if line.startswith("| `") and "](#" not in line]
    assert [line for line in lines if line.endswith("|  |")] == []  # every field says what it means


def test_every_command_is_on_its_page(generated: dict[str, str]) -> None:
    page = generated["reference/commands.md"]
    for command in app.registered_commands:
        name = command.callback.__name__ if command.callback else ""
        assert f"\n## {name}\n" in page
        assert f"Usage: shrinksweep {name} " in page


def test_every_public_name_is_in_the_python_reference_once(generated: dict[str, str]) -> None:
    pages = "\n".join(generated[f"reference/{name}.md"] for name in ("python", *code_map.ROOMS))
    entries = re.findall(r"^::: ([\w.]+)$", pages, flags=re.MULTILINE)
    assert [path for path, times in Counter(entries).items() if times > 1] == []
    documented = [resolved(path) for path in entries]
    assert [
        f"{package}.{name}"
        for package in PUBLIC
        for name in import_module(package).__all__
        if not any(one is getattr(import_module(package), name) for one in documented)
    ] == []


def resolved(path: str) -> object:
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


def test_the_python_reference_opens_with_what_people_need_first(generated: dict[str, str]) -> None:
    page = generated["reference/python.md"]
    entries = re.findall(r"^      heading: ([\w.]+)$", page, flags=re.MULTILINE)
    assert entries == ["orchestrator.launch", "results.open_run"]
    assert page.index("::: results.open_run") < page.index("## All public names")


def test_every_public_name_has_a_summary() -> None:
    names = [
        one for room in code_map.ROOMS for names in python_pages.documented(room).values() for one in names
    ]
    assert [one.path for one in names if not one.summary] == []


@pytest.mark.parametrize("package", PUBLIC)
def test_every_public_function_and_method_has_a_docstring(package: str) -> None:
    names = {name: getattr(import_module(package), name) for name in import_module(package).__all__}
    methods = {
        f"{name}.{method}": getattr(value, "fget", None) or getattr(value, "__func__", value)
        for name, kind in names.items()
        if inspect.isclass(kind)
        for method, value in vars(kind).items()
        if not method.startswith("_") and method not in ("extra_repr", "model_config")
    }
    called = {name: value for name, value in {**names, **methods}.items() if callable(value)}
    undocumented = [name for name, value in called.items() if not inspect.getdoc(value)]
    assert [name for name in undocumented if not inherits_docstring(names, name)] == []


def inherits_docstring(names: Mapping[str, object], name: str) -> bool:
    """Whether a method implements a documented method of a base class."""
    kind, _, method = name.partition(".")
    bases = getattr(names[kind], "__mro__", ())[1:]
    return any(inspect.getdoc(getattr(base, method, None)) for base in bases if hasattr(base, method))


def test_every_error_is_in_the_tree_of_errors(generated: dict[str, str]) -> None:
    page = generated["reference/errors.md"]
    errors = code_map.errors()
    assert [
        one.name for one in errors if f"\n| `{one.name}` | " not in page
    ] == []  # else it has another base
    rows = re.findall(r"^\| `(\w+)` \| `([\w.]+)` \| (.*?) \| (.*) \|$", page, flags=re.MULTILINE)
    assert len(rows) == len(errors) > 20
    for name, path, also, meaning in rows:
        error = resolved(path)
        assert isinstance(error, type)
        assert issubclass(error, ShrinksweepError)
        assert error.__name__ == name
        assert meaning
        builtins = [base.__name__ for base in error.__mro__ if base.__module__ == "builtins"]
        assert set(re.findall(r"\w+", also)) <= set(builtins)


def test_every_stored_report_has_its_section(generated: dict[str, str]) -> None:
    reports = {file.name.split("-amd")[0] for file in (ROOT / "benchmarks" / "results").glob("*.json")}
    sections = set(re.findall(r"^## (\w+)$", generated["benchmarks.md"], flags=re.MULTILINE))
    assert {name.split("-")[0] for name in reports} <= sections


@pytest.mark.parametrize("name", pictures.PICTURES)
def test_every_picture_has_a_description(name: str) -> None:
    assert re.search(r"<svg[^>]*role=\"img\" aria-label=\"[^\"]{40}", pictures.figure(name))


def test_every_picture_is_on_a_page() -> None:
    named = [name for page in PAGES for name in hooks.PICTURE.findall(page.read_text())]
    assert set(named) == set(pictures.PICTURES)


def test_every_explained_message_exists_in_the_code() -> None:
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
def test_every_link_of_a_page_has_a_target(page: Path, generated: dict[str, str]) -> None:
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
    environment["https_proxy"] = environment["http_proxy"]  # nothing listens there: no network
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


@pytest.mark.slow
def test_the_site_builds_without_warnings_and_loads_nothing_from_the_network(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 15
    assert [(page.name, url) for page in pages for url in loaded(page.read_text()) if "//" in url] == []


@pytest.mark.slow
def test_the_python_reference_shows_signatures_and_docstrings(site: Path) -> None:
    page = (site / "reference" / "results.html").read_text()
    text = re.sub(r"<[^>]+>", "", page)
    assert "hypervolume_history" in text
    assert "Made by open_run" in text


WITH_CODE = ("cluster.html", "how-to/codec.html", "reference/commands.html", "reference/python.html")
"""Pages with code of every language, signatures, and the longest lines."""
CLIPPED = """
[...document.querySelectorAll("pre > code")].filter(code => {
  const style = getComputedStyle(code), box = code.getBoundingClientRect();
  const scrolls = ["auto", "scroll"].includes(style.overflowX);
  const hidden = code.scrollWidth > code.clientWidth + 1 && !scrolls;
  const drawn = code.closest(".language-text") !== null;
  const cut = code.scrollWidth > code.clientWidth + 1 && !drawn;
  return hidden || cut || box.right > document.documentElement.clientWidth + 1;
}).map(code => code.textContent.slice(0, 60))
"""
"""Code blocks of which something cannot be seen. Code wraps; drawn text (tables, help) scrolls."""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_pages_open_from_the_disk_with_pictures_and_whole_code_and_without_errors(
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
        for name in WITH_CODE:
            for width in (1280, 390):  # a desktop and a phone
                page.open(site / name, width=width)
                page.wait(f"location.pathname.endsWith('{name}')")
                assert page.value("document.documentElement.scrollWidth") <= width, name
                assert page.value(CLIPPED) == [], f"{name} at {width} px"
        assert page.complaints() == []
        assert {url.partition(":")[0] for url in page.fetched()} <= {"file", "data"}


class Loads(html.parser.HTMLParser):
    """Collects the URLs that a browser loads by itself."""

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
