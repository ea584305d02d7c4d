"""The fenced code blocks of the pages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
HOW_TO = ROOT / "docs" / "how-to"


@dataclass(frozen=True)
class Snippet:
    """A fenced block."""

    language: str
    title: str
    """Path of the file that the block is the content of (``title="..."``); empty if it is not a file."""
    text: str
    position: str
    """Page and line."""


def snippets(page: Path) -> list[Snippet]:
    """Return the fenced blocks of a page, in order."""
    text = page.read_text()
    found = []
    for match in FENCE.finditer(text):
        title = re.search(r'title="([^"]+)"', match[2])
        line = text.count("\n", 0, match.start()) + 1
        found.append(Snippet(match[1], title[1] if title else "", match[3], f"{page.name}:{line}"))
    return found


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()
