"""The map of the code in ``docs/architecture.md``: ``python -m docs._code.architecture_map`` updates it.

Its rows are the layers that import-linter enforces, its texts the docstrings of files and folders.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from docs._code import code_map
from docs._code.code_map import ROOMS, ROOT

PAGE = ROOT / "docs" / "architecture.md"
MARK = re.compile(r"(<!-- map: (\w+) -->\n)(.*?)(<!-- end -->)", flags=re.DOTALL)


def fill(page: str) -> str:
    """Return the page with the current maps between their marks.

    Raises:
        KeyError: the page asks for a room that does not exist.
    """
    maps = {room: _map(room) for room in ROOMS}
    return MARK.sub(lambda found: f"{found[1]}\n{maps[found[2]]}\n\n{found[4]}", page)


def _map(room: str) -> str:
    rows = [
        f"| {number} | `{path}` | {_head(module)} |"
        for number, layer in enumerate(layers(room), 1)
        for name in layer
        for path, module in _modules(room, name)
    ]
    return "\n".join(["| layer | file or folder | what it holds |", "|---|---|---|", *rows])


def layers(room: str) -> list[list[str]]:
    """Return the layers of a room from top to bottom, each with the names of its files and folders."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    found = next(one["layers"] for one in contracts if one.get("containers") == [room])
    return [[name.strip() for name in layer.split("|")] for layer in found]


def _modules(room: str, name: str) -> Iterator[tuple[str, str]]:
    """Yield the path in the room and the module of a file, or of a folder and the folders in it."""
    folder = ROOT / room / name
    if not folder.is_dir():
        yield f"{name}.py", f"{room}.{name}"
    for file in sorted(folder.rglob("__init__.py")):
        inner = file.parent.relative_to(ROOT / room)
        yield f"{inner.as_posix()}/", ".".join((room, *inner.parts))


def _head(module: str) -> str:
    """Return the first paragraph of a docstring."""
    first = code_map.docstring(module).partition("\n\n")[0]
    return " ".join(first.replace("``", "`").split()).replace("|", "\\|")


def main(page: Path = PAGE) -> None:
    """Update the page."""
    page.write_text(fill(page.read_text()))


if __name__ == "__main__":
    main()
