"""The harness of all benchmarks: figures with targets, interleaved timing, reports.

A benchmark is one function ``measure(quick: bool) -> Measured`` and one line::

    if __name__ == "__main__":
        harness.main("coding", measure)

It prints a table. ``--json FILE`` writes the report to a file, ``--save`` keeps it under ``benchmarks/results/``.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NotRequired, TypedDict

from benchmarks import machine

if TYPE_CHECKING:  # imported where a table is printed: a GPU machine may lack it
    from rich.console import Console
    from rich.table import Table as RichTable

RESULTS = Path(__file__).parent / "results"
"""Where ``--save`` keeps reports."""

Cell = str | float | None
"""A cell of a table; None: not measured."""


class FigureJson(TypedDict):
    """A figure in a report."""

    name: str
    value: float | None
    unit: str
    target: float | None
    met: bool | None


class TableJson(TypedDict):
    """A table in a report: each row maps column titles to cells."""

    title: str
    rows: list[dict[str, Cell]]


class Report(TypedDict):
    """A whole report, as it is written to a file."""

    benchmark: str
    machine: machine.Machine
    versions: dict[str, str]
    configuration: dict[str, object]
    figures: list[FigureJson]
    tables: NotRequired[list[TableJson]]


@dataclass(frozen=True)
class Figure:
    """One measured number. ``value`` is None if it was not measured, ``target`` is None if there is none."""

    name: str
    value: float | None
    unit: str
    target: float | None = None
    better: Literal["higher", "lower"] = "higher"

    def __post_init__(self) -> None:
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(
                f"a figure must be finite, or None for not measured, but got {self.name}={self.value}"
            )

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None without a target or a value."""
        if self.target is None or self.value is None:
            return None
        return self.value >= self.target if self.better == "higher" else self.value <= self.target

    def to_json(self) -> FigureJson:
        """Return the figure as a report holds it."""
        return {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "target": self.target,
            "met": self.met,
        }


@dataclass(frozen=True)
class Table:
    """Further results of a benchmark, without targets."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]

    def to_json(self) -> TableJson:
        """Return the table as a report holds it."""
        rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        return {"title": self.title, "rows": rows}


@dataclass(frozen=True)
class Measured:
    """What a benchmark returns: its figures, and the configuration in which they were measured."""

    figures: Sequence[Figure]
    configuration: Mapping[str, object] = field(default_factory=dict)
    tables: Sequence[Table] = ()


@dataclass(frozen=True)
class Timings:
    """Seconds of each candidate, one number a round."""

    seconds: Mapping[str, Sequence[float]]

    def median(self, name: str) -> float:
        """Return the median seconds of one candidate."""
        return statistics.median(self.seconds[name])

    def median_ratio(self, a: str, b: str) -> float:
        """Return how many times faster ``b`` is than ``a``: the median over the rounds of the ratio of their times."""
        return statistics.median(x / y for x, y in zip(self.seconds[a], self.seconds[b], strict=True))


def interleaved(candidates: Mapping[str, Callable[[], object]], rounds: int, warmup: int = 1) -> Timings:
    """Time every candidate once a round, so that a slow phase of the machine affects all of them alike.

    Each round starts with the next candidate. The first ``warmup`` rounds are dropped. The garbage collector is off,
    and a GPU in use is synchronized before each reading of the clock.
    """
    if rounds < 1 or warmup < 0:
        raise ValueError(
            f"`rounds` must be at least 1 and `warmup` at least 0, but got {rounds} and {warmup}"
        )
    names = list(candidates)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    with ExitStack() as stack:
        if gc.isenabled():
            gc.disable()
            stack.callback(gc.enable)
        for i in range(warmup + rounds):
            gc.collect()
            for name in names[i % len(names) :] + names[: i % len(names)]:
                elapsed = _seconds(candidates[name])
                if i >= warmup:
                    seconds[name].append(elapsed)
    return Timings(seconds)


def one_thread() -> ExitStack:
    """Set torch to one CPU thread; leaving the returned context restores the former number."""
    import torch

    stack = ExitStack()
    stack.callback(torch.set_num_threads, torch.get_num_threads())
    torch.set_num_threads(1)
    return stack


def report(name: str, measured: Measured) -> Report:
    """Return the report of a benchmark; it has ``tables`` only if there are any."""
    content: Report = {
        "benchmark": name,
        "machine": machine.describe(),
        "versions": machine.versions(),
        "configuration": dict(measured.configuration),
        "figures": [figure.to_json() for figure in measured.figures],
    }
    if measured.tables:
        content["tables"] = [table.to_json() for table in measured.tables]
    return content


def write_json(content: Mapping[str, object], path: Path) -> None:
    """Write a report as JSON.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def save(content: Report, theme: str | None = None, folder: Path = RESULTS) -> Path:
    """Write a report to ``THEME-HARDWARE-DATE.json`` in ``folder``; ``theme`` defaults to the benchmark's name."""
    hardware = machine.slug(content["machine"])
    path = folder / f"{theme or content['benchmark']}-{hardware}-{content['machine']['date'][:10]}.json"
    write_json(content, path)
    return path


def show(content: Report, console: Console | None = None) -> None:
    """Print a report as tables."""
    from rich.console import Console
    from rich.table import Table as RichTable

    console = console or Console()
    console.print(figure_table(content["benchmark"], content["figures"]))
    for table in content.get("tables", ()):
        columns = list(table["rows"][0]) if table["rows"] else []
        out = RichTable(*columns, title=table["title"], title_justify="left")
        for row in table["rows"]:
            out.add_row(*(_cell(row[c]) for c in columns))
        console.print(out)


def figure_table(title: str, figures: Sequence[FigureJson]) -> RichTable:
    """Return the figures of a report as a table for the terminal; a missed target is red."""
    from rich.table import Table as RichTable

    out = RichTable("figure", "value", "unit", "target", "met", title=title, title_justify="left")
    words = {True: "yes", False: "no", None: "-"}
    for f in figures:
        style = "red" if f["met"] is False else None
        out.add_row(f["name"], _cell(f["value"]), f["unit"], _cell(f["target"]), words[f["met"]], style=style)
    return out


def main(name: str, measure: Callable[[bool], Measured], arguments: Sequence[str] | None = None) -> None:
    """Run one benchmark from the command line. A missed target is shown, but is not a failure."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=measure.__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller sizes and fewer rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report to FILE")
    parser.add_argument(
        "--save", action="store_true", help=f"keep the report under {RESULTS.parent.name}/results"
    )
    options = parser.parse_args(arguments)
    measured = measure(options.quick)
    content = report(name, Measured(measured.figures, _settings(measured, options.quick), measured.tables))
    show(content)
    if options.json:
        write_json(content, options.json)
    if options.save:
        print(f"saved {save(content)}")


def _settings(measured: Measured, quick: bool) -> dict[str, object]:
    return {"quick": quick} | dict(measured.configuration)


def _seconds(candidate: Callable[[], object]) -> float:
    _wait_for_gpu()
    start = time.perf_counter()
    result = candidate()  # freed after the clock is read, so that freeing it is not timed
    _wait_for_gpu()
    elapsed = time.perf_counter() - start
    del result
    return elapsed


def _wait_for_gpu() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.synchronize()


def _cell(value: Cell) -> str:
    if value is None:
        return "-"
    return f"{value:,.4g}" if isinstance(value, float) and abs(value) < 1e4 else _whole(value)


def _whole(value: str | float) -> str:
    return f"{value:,.0f}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
