"""What every benchmark shares: figures against targets, interleaved timing, the report and its three forms.

A benchmark is one function ``measure(quick: bool) -> Measured`` and one line::

    if __name__ == "__main__":
        harness.main("coding", measure)

It prints a table; ``--json FILE`` writes the report, ``--save`` keeps it under ``benchmarks/results/``.
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
from typing import Any, Literal

from rich.console import Console
from rich.table import Table as RichTable

from benchmarks import machine

RESULTS = Path(__file__).parent / "results"
"""Where ``--save`` keeps reports."""


@dataclass(frozen=True)
class Figure:
    """One measured number; ``value`` is None where not measured, ``target`` where nothing is promised."""

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
        """Return whether the target is reached; None without a target or without a value."""
        if self.target is None or self.value is None:
            return None
        return self.value >= self.target if self.better == "higher" else self.value <= self.target

    def to_json(self) -> dict[str, Any]:
        """Return the figure as the contract writes it."""
        return {n: getattr(self, n) for n in ("name", "value", "unit", "target", "met")}


@dataclass(frozen=True)
class Table:
    """Rows that belong to a report but hold no target; a cell is text, a number, or None for not measured."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | float | None]]

    def to_json(self) -> dict[str, Any]:
        """Return the table as title and one object a row."""
        rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        return {"title": self.title, "rows": rows}


@dataclass(frozen=True)
class Measured:
    """What a benchmark hands back: its figures and the configuration that they were measured in."""

    figures: Sequence[Figure]
    configuration: Mapping[str, Any] = field(default_factory=dict)
    tables: Sequence[Table] = ()


@dataclass(frozen=True)
class Timings:
    """Seconds of each candidate in each round, in the order of the rounds."""

    seconds: Mapping[str, Sequence[float]]

    def median(self, name: str) -> float:
        """Return the median seconds of one candidate."""
        return statistics.median(self.seconds[name])

    def median_ratio(self, a: str, b: str) -> float:
        """Return the median over the rounds of a's time / b's time: how many times faster b is than a."""
        return statistics.median(x / y for x, y in zip(self.seconds[a], self.seconds[b], strict=True))


def interleaved(candidates: Mapping[str, Callable[[], object]], rounds: int, warmup: int = 1) -> Timings:
    """Time every candidate once a round, so that a slow moment of the machine hits all of them alike.

    Each round starts with another candidate; the first ``warmup`` rounds are dropped; the garbage collector
    rests meanwhile, and a GPU in use is waited for before each reading of the clock.
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
    """Set torch to one CPU thread now; as ``with one_thread():`` the old number comes back at the end."""
    import torch

    stack = ExitStack()
    stack.callback(torch.set_num_threads, torch.get_num_threads())
    torch.set_num_threads(1)
    return stack


def report(name: str, measured: Measured) -> dict[str, Any]:
    """Return the report: benchmark, machine, versions, configuration, then the figures (and tables)."""
    tables = {"tables": [t.to_json() for t in measured.tables]} if measured.tables else {}
    return {
        "benchmark": name,
        "machine": machine.describe(),
        "versions": machine.versions(),
        "configuration": dict(measured.configuration),
        "figures": [f.to_json() for f in measured.figures],
    } | tables


def write_json(content: Mapping[str, Any], path: Path) -> None:
    """Write a report as JSON; NaN and infinity are refused."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def save(content: Mapping[str, Any], theme: str | None = None, folder: Path = RESULTS) -> Path:
    """Keep a report as ``THEME-HARDWARE-DATE.json``; ``theme`` defaults to the benchmark's name."""
    hardware = machine.slug(content["machine"])
    path = folder / f"{theme or content['benchmark']}-{hardware}-{content['machine']['date'][:10]}.json"
    write_json(content, path)
    return path


def show(content: Mapping[str, Any], console: Console | None = None) -> None:
    """Print a report as tables."""
    console = console or Console()
    console.print(figure_table(content["benchmark"], content["figures"]))
    for table in content.get("tables", ()):
        columns = list(table["rows"][0]) if table["rows"] else []
        out = RichTable(*columns, title=table["title"], title_justify="left")
        for row in table["rows"]:
            out.add_row(*(_cell(row[c]) for c in columns))
        console.print(out)


def figure_table(title: str, figures: Sequence[Mapping[str, Any]]) -> RichTable:
    """Return figures in their JSON form as a table; a missed target is red."""
    out = RichTable("figure", "value", "unit", "target", "met", title=title, title_justify="left")
    words = {True: "yes", False: "no", None: "-"}
    for f in figures:
        style = "red" if f["met"] is False else None
        out.add_row(f["name"], _cell(f["value"]), f["unit"], _cell(f["target"]), words[f["met"]], style=style)
    return out


def main(name: str, measure: Callable[[bool], Measured], arguments: Sequence[str] | None = None) -> None:
    """Run one benchmark from the command line. A target that is missed is shown, and is no failure."""
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


def _settings(measured: Measured, quick: bool) -> dict[str, Any]:
    return {"quick": quick} | dict(measured.configuration)


def _seconds(candidate: Callable[[], object]) -> float:
    _wait_for_gpu()
    start = time.perf_counter()
    result = candidate()  # kept until after the clock is read: freeing it is not what is timed
    _wait_for_gpu()
    elapsed = time.perf_counter() - start
    del result
    return elapsed


def _wait_for_gpu() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.synchronize()


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:,.4g}" if isinstance(value, float) and abs(value) < 1e4 else _whole(value)


def _whole(value: Any) -> str:
    return f"{value:,.0f}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
