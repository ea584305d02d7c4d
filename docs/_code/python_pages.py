"""The Python reference: an overview that opens with ``launch`` and ``open_run``, and a page for each room."""

from __future__ import annotations

import re

from docs._code import code_map
from docs._code.code_map import ROOMS, PublicName
from docs._code.docstrings import ROLE, as_markdown

FIRST = ("orchestrator.launch", "results.open_run")
"""The names that the overview documents in full; all others have their entry on the page of their room."""
COMMANDS = "orchestrator.cli"
"""Has a page of its own, made from the help texts."""

INTRODUCTION = """\
# Python

One import has what most people need; `dir(ss)` lists it:

```python
import shrinksweep as ss

sweep = ss.Sweep.from_yaml("examples/digits.yaml")
run = ss.launch(sweep, run_dir="runs/digits")  # run a sweep, or resume it
run = ss.open_run("runs/digits")  # read its results, while it runs as well
run.front()
```

The names live in four packages, `orchestrator`, `trials`, `search_space` and `results`, from which they can be imported
as well. [All public names](#all-public-names) lists them by folder. Every error derives from
[`ShrinksweepError`](errors.md).
"""
ALL_NAMES = """\
## All public names

A folder is a concept, and its public names can be imported from it. The names that are most often needed can also be
imported from the package above it; the tables give the shortest path. Names that are not listed here are private:
they may change without notice ([Compatibility](../compatibility.md)).
"""


def pages() -> dict[str, str]:
    """Return the pages by their path in the site; mkdocstrings fills in the entries of the names."""
    return {"reference/python.md": _overview()} | {f"reference/{room}.md": _room_page(room) for room in ROOMS}


def documented(room: str) -> dict[str, list[PublicName]]:
    """Return the public names of a room by folder, in the order of the page."""
    folders = code_map.public_names(room)
    return {folder: sorted(names, key=_order) for folder, names in folders.items() if folder != COMMANDS}


def _overview() -> str:
    folders = {folder: names for room in ROOMS for folder, names in documented(room).items()}
    by_path = {one.path: one for names in folders.values() for one in names}
    parts = [INTRODUCTION, *(_entry(by_path[path], level=2) for path in FIRST), ALL_NAMES]
    for folder, names in folders.items():
        head = code_map.docstring(folder).partition("\n")[0]
        rows = [f"| {_link(one)} | {_cell(one.summary)} |" for one in names]
        parts += [f"### {folder}\n\n{head}\n\n| name | meaning |\n|---|---|\n" + "\n".join(rows) + "\n"]
    return "\n".join(parts)


def _room_page(room: str) -> str:
    parts = []
    for folder, names in documented(room).items():
        head, _, rest = code_map.docstring(folder).partition("\n")
        parts.append(f"{'#' if folder == room else '##'} {folder}\n\n{head}\n{_body(rest)}")
        parts += [
            f"{_link(one)} is documented in the overview.\n" if one.path in FIRST else _entry(one)
            for one in names
        ]
    return "\n".join(parts)


def _order(name: PublicName) -> tuple[bool, bool, bool, str]:
    """Sort functions, then classes, then constants; errors last; by name."""
    return name.name.endswith("Error"), name.name.isupper(), name.name[0].isupper(), name.name


def _entry(name: PublicName, level: int = 3) -> str:
    return f"::: {name.identifier}\n    options:\n      heading: {name.path}\n      heading_level: {level}\n"


def _link(name: PublicName) -> str:
    return f"[`{name.path}`][{name.identifier}]"


def _cell(text: str) -> str:
    return ROLE.sub(r"`\1`", text).replace("``", "`").replace("|", "\\|")


def _body(text: str) -> str:
    """Return a docstring after its first line; one with indented lines becomes a block of text."""
    body = text.strip("\n")
    if re.search("^ ", body, flags=re.MULTILINE):
        plain = ROLE.sub(r"\1", body)
        return f"\n```text\n{plain}\n```\n"
    return f"\n{as_markdown(body)}\n"
