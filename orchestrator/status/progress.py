"""What a launch shows while it runs: a live view on a terminal, plain lines where output is piped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import pyarrow as pa
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.conductor.monitor import Monitor, Running

LINE_EVERY_S = 10.0
ROWS = 8
"""Trials and points that the live view shows at most."""


class View(Protocol):
    """Shows a monitor. ``tick`` is called often, and is cheap."""

    def say(self, text: str) -> None: ...

    def tick(self) -> None: ...

    def close(self) -> None: ...


def open_view(monitor: Monitor, console: Console | None) -> View:
    """Return a live view on a terminal, plain lines elsewhere, nothing without a console."""
    if console is None:
        return Silent()
    return LiveView(monitor, console) if console.is_terminal else PlainView(monitor, console)


class Silent:
    """Shows nothing."""

    def say(self, text: str) -> None:
        pass

    def tick(self) -> None:
        pass

    def close(self) -> None:
        pass


class PlainView:
    """A line for every event and every few seconds."""

    def __init__(
        self, monitor: Monitor, console: Console, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._monitor, self._console, self._clock = monitor, console, clock
        self._said = clock()
        self._settled = -1
        self._events = 0

    def say(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, markup=False, highlight=False)

    def tick(self) -> None:
        monitor = self._monitor
        for event in monitor.events[self._events :]:
            self.say(event)
        self._events = len(monitor.events)
        now = self._clock()
        finished = monitor.settled != self._settled and now - self._said >= 1.0
        if not finished and now - self._said < LINE_EVERY_S:
            return
        self._said, self._settled = now, monitor.settled
        running = monitor.placed_trials
        under_way = ", ".join(f"{r.index}: {r.phase} {r.step}/{r.epochs}" for r in running[:ROWS])
        self.say(f"{headline(monitor)}{f' [{under_way}]' if under_way else ''}")

    def close(self) -> None:
        self._said = -LINE_EVERY_S
        self.tick()


class LiveView:
    """Bars for the trials under way, and the front so far."""

    def __init__(self, monitor: Monitor, console: Console) -> None:
        self._monitor, self._console = monitor, console
        self._status = "starting"
        self._live = Live(get_renderable=self._render, console=console, refresh_per_second=4, transient=True)
        self._live.start()

    def say(self, text: str) -> None:
        self._status = text

    def tick(self) -> None:
        self._status = ""

    def close(self) -> None:
        self._live.stop()
        for event in self._monitor.events:
            self._console.print(event, markup=False, highlight=False)
        self._console.print(headline(self._monitor), markup=False, highlight=False)

    def _render(self) -> RenderableType:
        if self._status:
            return Text(self._status, style="dim")
        monitor = self._monitor
        parts: list[RenderableType] = [Text(headline(monitor), style="bold")]
        parts.append(ProgressBar(total=max(1, monitor.total), completed=monitor.settled, width=60))
        parts.append(_trials_table(monitor.placed_trials))
        parts += [Text(event, style="yellow") for event in monitor.events[-3:]]
        if monitor.front is not None and monitor.front.num_rows:
            parts.append(front_table(monitor.front, monitor.objectives, ROWS))
        return Group(*parts)


def headline(monitor: Monitor) -> str:
    """Return the state of a launch in one line."""
    parts = [
        f"{monitor.name}: {monitor.finished_count} of {monitor.total} trials finished",
        f"{len(monitor.placed_trials)} running",
    ]
    parts += [f"{monitor.stopped_count} stopped early"] if monitor.stopped_count else []
    parts += [f"{monitor.infeasible_count} infeasible"] if monitor.infeasible_count else []
    parts += [f"{monitor.failed_count} failed"] if monitor.failed_count else []
    left = monitor.seconds_left()
    if left is not None and monitor.settled < monitor.total:
        parts.append(f"about {duration(left)} left")
    if monitor.front is not None:
        parts.append(f"{monitor.front.num_rows} points on the front")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """Return a time as a person says it.

    >>> duration(42.0), duration(130.0), duration(7500.0)
    ('42 s', '2 min 10 s', '2 h 05 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def _trials_table(running: list[Running]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    for trial in running[:ROWS]:
        accuracy = trial.row.get("validation_accuracy")
        accuracy = trial.row.get("accuracy") if accuracy is None else accuracy
        table.add_row(
            f"trial {trial.index}",
            trial.phase,
            ProgressBar(total=max(1, trial.epochs), completed=trial.step, width=24),
            f"{trial.step}/{trial.epochs} epochs",
            f"accuracy {accuracy:.3f}" if accuracy is not None else "",
        )
    if len(running) > ROWS:
        table.add_row(f"and {len(running) - ROWS} more", "", "", "", "")
    return table


SHOWN = {
    "output_node": "output\nnode",
    "splitting": "s",
    "regularization": "lambda",
    "threshold": "tau",
    "threshold_mode": "tau\nmode",
    "weight_bits": "weight\nbits",
    "feature_map_bits": "map\nbits",
    "codec": "codec",
    "seed": "seed",
}
"""Columns of a front that are shown beside the objectives, where they differ, and what heads them."""


def front_table(front: pa.Table, objectives: dict[str, str], rows: int | None = None) -> Table:
    """Return a front as a table, best first in the first objective; ``rows`` at most."""
    first = next(iter(objectives))
    order = "descending" if objectives[first] == "max" else "ascending"
    return table_of_points(front.sort_by([(first, order)]), objectives, rows=rows)


def table_of_points(
    points: pa.Table, objectives: Iterable[str], beside: Iterable[str] = (), rows: int | None = None
) -> Table:
    """Return points as a table: their names, what tells them apart, columns ``beside``, the objectives."""
    objectives = list(objectives)
    telling = [n for n in SHOWN if n not in objectives and len(points[n].unique()) > 1]
    columns = list(
        dict.fromkeys(["point", *telling, *(n for n in beside if n not in objectives), *objectives])
    )
    table = Table(
        title=f"front: {points.num_rows} points",
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for name in columns:
        kind = points.schema.field(name).type
        is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
        table.add_column(
            SHOWN.get(name) or _header(name), justify="right" if is_number else "left", no_wrap=True
        )
    for row in points.select(columns).slice(0, rows).to_pylist():
        row["point"] = short_point(row["point"])
        table.add_row(*(cell(row[name]) for name in columns))
    return table


def short_point(point: str) -> str:
    """Return a point's name as short as people type it; every command takes it as well as the whole name.

    >>> short_point("342695f80345bbe6-08")
    '342695f8-08'
    """
    key, _, rung = point.partition("-")
    return f"{key[:8]}-{rung}"


def _header(name: str) -> str:
    """Return a column's name in short lines, broken after an underscore."""
    lines = [""]
    for part in name.replace("_", "_ ").split():
        if lines[-1] and len(lines[-1] + part) > 9:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def cell(value: Any) -> str:
    """Return a number as a table shows it.

    >>> cell(0.98333333), cell(1234567), cell(1e-5), cell(None)
    ('0.9833', '1,234,567', '1e-05', '-')
    """
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
