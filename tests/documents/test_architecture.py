"""The map of the architecture page: its folders and layers are those of the code, and every file it names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs._code import architecture_map, code_map
from tests.documents.snippets import PAGES, ROOT, name_of

PATH = re.compile(r"`([\w.-]+(?:/[\w.-]+)*/[\w.-]*|[\w-]+\.(?:py|md|yml|yaml|toml|txt|cff))`")
ROOTS = tuple(
    f"{folder}/" for folder in (*code_map.ROOMS, "tests", "docs", "examples", "benchmarks", "deploy")
)


def test_the_map_is_made_from_the_code() -> None:
    page = architecture_map.PAGE.read_text()
    assert architecture_map.fill(page) == page, "run: python -m docs._code.architecture_map"
    assert [found[1] for found in architecture_map.MARK.findall(page)] == list(code_map.ROOMS)


def test_every_folder_is_on_the_map() -> None:
    page = architecture_map.PAGE.read_text()
    folders = [package.replace(".", "/") for room in code_map.ROOMS for package in code_map.packages(room)]
    assert [folder for folder in folders if f"`{folder}/`" not in page] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    missing = [
        path
        for path in PATH.findall(page.read_text())
        if path.startswith(ROOTS) and not (ROOT / path).exists()
    ]
    assert missing == []


def test_every_file_of_the_table_of_changes_exists() -> None:
    """A file without a folder is in the folder that its row named before."""
    table = architecture_map.PAGE.read_text().partition("## Where to change what")[2].partition("\n## ")[0]
    missing = []
    for row in table.splitlines():
        folder = ROOT
        for path in PATH.findall(row):
            file = ROOT / path if path.startswith(ROOTS) else folder / path
            file = file if file.exists() else ROOT / path
            missing += [] if file.exists() else [path]
            folder = file if file.is_dir() else file.parent
    assert missing == []
