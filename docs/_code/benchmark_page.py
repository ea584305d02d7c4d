"""The page of the benchmarks, made from the reports under ``benchmarks/results/``."""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import Cell, Report

INTRODUCTION = """\
# Benchmarks

`make bench` runs all benchmarks (`make bench QUICK=1`: small sizes). `python -m benchmarks.NAME --save` writes a report
to `benchmarks/results/`; this page shows the newest report of each benchmark. A ratio says how many times faster
something is, or what fraction of the memory or time of its reference it takes. A dash: not measured, or no target.
"""


VERSIONS = {"torch": "torch", "ray": "Ray", "cuda": "CUDA", "triton": "Triton", "commit": "commit"}
"""The versions that a section names, where its report has them."""


def page(folder: Path) -> str:
    """Return the page of the newest report of each benchmark in ``folder``."""
    newest: dict[str, Report] = {}
    for file in sorted(folder.glob("*.json"), key=lambda file: _date(_read(file))):
        report = _read(file)
        newest[report["benchmark"]] = report
    return "\n".join([INTRODUCTION, *(_section(newest[name], folder.parent) for name in sorted(newest))])


def kept(name: str, folder: Path) -> str:
    """Return the newest report of one benchmark on each GPU that it was kept for; a sentence if there is none."""
    newest: dict[str, Report] = {}
    for file in sorted(folder.glob(f"{name}-*.json"), key=lambda file: _date(_read(file))):
        report = _read(file)
        newest[report["machine"].get("gpu") or report["machine"]["cpu"]] = report
    if not newest:
        return "No run has been kept yet: nothing was measured."
    return "\n".join(
        f"### {hardware}\n\n{_hardware(report)}.\n\n{_figures(report)}\n{_tables(report, '####')}"
        for hardware, report in newest.items()
    )


def _read(file: Path) -> Report:
    report: Report = json.loads(file.read_text())
    return report


def _date(report: Report) -> str:
    return report["machine"]["date"]


def _section(report: Report, code: Path) -> str:
    name = report["benchmark"]
    parts = [f"## {name}", _purpose(code / f"{name}.py"), f"{_hardware(report)}.", _figures(report)]
    return "\n\n".join(parts) + f"\n{_tables(report, '###')}"


def _hardware(report: Report) -> str:
    """Return hardware, date and versions in a line."""
    machine, versions = report["machine"], report["versions"]
    hardware = f"{machine['cpu']}, {machine['cores']} cores"
    if gpu := machine.get("gpu"):
        hardware += f", {gpu}"
    software = [f"{label} {versions[name]}" for name, label in VERSIONS.items() if name in versions]
    return f"{hardware}; {', '.join([_date(report)[:10], *software])}"


def _figures(report: Report) -> str:
    rows: list[list[Cell]] = [
        [f["name"], f["value"], f["unit"], f["target"], _met(f["met"])] for f in report["figures"]
    ]
    return _table(["figure", "value", "unit", "target", "met"], rows)


def _tables(report: Report, heading: str) -> str:
    """Return the further tables of a report, each below a heading of this level."""
    parts = []
    for table in report.get("tables", ()):
        columns = list(table["rows"][0]) if table["rows"] else []
        cells = [[row[column] for column in columns] for row in table["rows"]]
        parts.append(f"\n{heading} {table['title']}\n\n{_table(columns, cells)}\n")
    return "".join(parts)


def _purpose(file: Path) -> str:
    """Return the first paragraph of a benchmark's docstring."""
    text = ast.get_docstring(ast.parse(file.read_text())) if file.exists() else None
    return " ".join((text or "").split("\n\n")[0].split())


def _table(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    lines = [columns, ["---"] * len(columns), *([_cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Cell) -> str:
    if value is None:
        return "–"  # noqa: RUF001
    return (
        f"{value:,.4g}" if isinstance(value, float) else str(value).replace("|", "\\|").replace("<", "&lt;")
    )


def _met(met: bool | None) -> str | None:
    return None if met is None else ("yes" if met else "no")
