"""The map of the architecture page: its folders and layers are those of the code, and every file it names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs._code import architecture_map, code_map
from tests.documents.snippets import PAGES, ROOT, name_of

PATH = re.compile(r"`([\w.-]+(?:/[\w.-]+)*/[\w.-]*|[\w-]+\.(?:py|md|yml|yaml|toml|txt|cff))`")
PLACEHOLDER = re.compile(r"\b[A-Z]{2,}\b")  # as in NAME-DATE.json
ROOTS = tuple(
    f"{folder}/" for folder in (*code_map.ROOMS, "tests", "docs", "examples", "benchmarks", "deploy")
)


def test_the_map_is_made_from_the_code() -> None:
    page = architecture_map.PAGE.read_text()
    assert architecture_map.fill(page) == page, "run: python -m docs._code.architecture_map"
    assert [found[1] for found in architecture_map.MARK.findall(page)] == list(code_map.ROOMS)


def test_every_folder_is_on_the_map() -> None:
    maps = {
        room: text for _, room, text, _ in architecture_map.MARK.findall(architecture_map.PAGE.read_text())
    }
    for room in code_map.ROOMS:
        folders = [
            package.replace(".", "/").removeprefix(f"{room}/") for package in code_map.packages(room)[1:]
        ]
        assert [folder for folder in folders if f"| `{folder}/` |" not in maps[room]] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    named = [path for path in PATH.findall(page.read_text()) if path.startswith(ROOTS)]
    missing = [path for path in named if not (ROOT / path).exists() and not PLACEHOLDER.search(path)]
    assert missing == []


def test_every_file_of_the_table_of_changes_exists() -> None:
    """A path is relative to the last folder that its row named, or to one above it."""
    table = architecture_map.PAGE.read_text().partition("## Where to change what")[2].partition("\n## ")[0]
    missing = []
    for row in table.splitlines():
        folder = ROOT
        for path in PATH.findall(row):
            found = [above / path for above in (folder, *folder.parents) if (above / path).exists()]
            missing += [] if found else [path]
            if found:
                folder = found[0] if found[0].is_dir() else found[0].parent
    assert missing == []
