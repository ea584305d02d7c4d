"""What was measured, from the reports that are kept under ``benchmarks/results/``."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

INTRODUCTION = """\
# Benchmarks

`make bench` measures all of this anew (`make bench QUICK=1`: small sizes); `python -m benchmarks.NAME --save` keeps a
report under `benchmarks/results/`, and this page is made of the newest of each. Ratios say how many times faster, or
what fraction of the other's memory or time. A dash is what was not measured, or has no target.
"""


def page(folder: Path) -> str:
    """Return the page for the newest report of each benchmark in ``folder``."""
    newest: dict[str, dict[str, Any]] = {}
    for file in sorted(folder.glob("*.json"), key=lambda file: _date(_read(file))):
        report = _read(file)
        newest[report["benchmark"]] = report
    return "\n".join([INTRODUCTION, *(_section(newest[name], folder.parent) for name in sorted(newest))])


def _read(file: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(file.read_text())
    return report


def _date(report: Mapping[str, Any]) -> str:
    return str(report["machine"]["date"])


def _section(report: Mapping[str, Any], code: Path) -> str:
    name, machine, versions = report["benchmark"], report["machine"], report["versions"]
    where = f"{machine['cpu']}, {machine['cores']} cores"
    if gpu := machine.get("gpu"):
        where += f", {gpu}"
    when = (
        f"{_date(report)[:10]}, torch {versions['torch']}, Ray {versions['ray']}, commit {versions['commit']}"
    )
    rows = [[f["name"], f["value"], f["unit"], f["target"], _met(f["met"])] for f in report["figures"]]
    parts = [f"## {name}", _purpose(code / f"{name}.py"), f"{where}; {when}."]
    parts.append(_table(["figure", "value", "unit", "target", "met"], rows))
    for table in report.get("tables", ()):
        columns = list(table["rows"][0]) if table["rows"] else []
        cells = [[row[column] for column in columns] for row in table["rows"]]
        parts.append(f"### {table['title']}\n\n{_table(columns, cells)}")
    return "\n\n".join(parts) + "\n"


def _purpose(file: Path) -> str:
    """Return the first paragraph of a benchmark's docstring."""
    text = ast.get_docstring(ast.parse(file.read_text())) if file.exists() else None
    return " ".join((text or "").split("\n\n")[0].split())


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [columns, ["---"] * len(columns), *([_cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str:
    if value is None:
        return "–"  # noqa: RUF001
    return f"{value:,.4g}" if isinstance(value, float) else str(value).replace("|", "\\|")


def _met(met: bool | None) -> str | None:
    return None if met is None else ("yes" if met else "no")
