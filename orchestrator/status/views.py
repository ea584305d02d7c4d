"""What a launch shows while it runs: a live view on a terminal, plain lines where its output is piped."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
from typing_extensions import override

from orchestrator.conductor.monitor import Monitor, Running
from orchestrator.status.headline import Summary, headline
from orchestrator.status.narrow import Fitted, SparingTable, overall_bar
from orchestrator.status.tables import front_table

LINE_EVERY_S = 10.0
"""Seconds between two lines of the plain view in which no trial finishes."""

ROWS = 8
"""The most trials, and the most points, that the live view shows."""


class View(Protocol):
    """Shows a monitor while a launch runs."""

    def say(self, text: str) -> None:
        """Show one line of text, such as what the launch waits for."""

    def warn(self, text: str) -> None:
        """Show one line at once that stays. May be called inside a signal handler."""

    def refresh(self) -> None:
        """Show the monitor as it is now. Called often, so it must be cheap."""

    def close(self) -> None:
        """Show the monitor for the last time."""


class Silent(View):
    """Shows nothing."""

    @override
    def say(self, text: str) -> None:
        pass

    @override
    def warn(self, text: str) -> None:
        pass

    @override
    def refresh(self) -> None:
        pass

    @override
    def close(self) -> None:
        pass


class PlainView(View):
    """Prints a line for every event, and the headline every few seconds."""

    def __init__(
        self, monitor: Monitor, console: Console, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._monitor, self._console, self._clock = monitor, console, clock
        self._printed_at = clock()
        self._printed_settled = -1
        self._printed_events = 0
        self._headline = ""

    @override
    def say(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, markup=False, highlight=False)

    @override
    def warn(self, text: str) -> None:
        with suppress(OSError):  # past all buffers: the signal may have come in the middle of a line
            os.write(self._console.file.fileno(), f"{text}\n".encode())

    @override
    def refresh(self) -> None:
        monitor = self._monitor
        for event in monitor.events[self._printed_events :]:
            self.say(event)
        self._printed_events = len(monitor.events)
        if not monitor.name:  # the trials have not begun
            return
        now = self._clock()
        due_s = LINE_EVERY_S if monitor.settled == self._printed_settled else 1.0
        if now - self._printed_at < due_s:
            return
        self._printed_at, self._printed_settled = now, monitor.settled
        running = ", ".join(f"{r.index}: {r.phase} {r.step}/{r.epochs}" for r in monitor.placed_trials[:ROWS])
        self._headline = f"{launch_headline(monitor)}{f' [{running}]' if running else ''}"
        self.say(self._headline)

    @override
    def close(self) -> None:
        self.refresh()
        if self._monitor.name and (line := launch_headline(self._monitor)) != self._headline:
            self.say(line)


class LiveView(View):
    """Draws a bar for every running trial, and the front so far."""

    def __init__(self, monitor: Monitor, console: Console) -> None:
        self._monitor, self._console = monitor, console
        self._text = "starting"
        self._warning = ""
        self._live = Live(get_renderable=self._render, console=console, refresh_per_second=4, transient=True)
        self._live.start()

    @override
    def say(self, text: str) -> None:
        self._text = text

    @override
    def warn(self, text: str) -> None:
        self._warning = text  # the next of four drawings a second shows it

    @override
    def refresh(self) -> None:
        self._text = ""  # from now on the monitor is shown, four times a second

    @override
    def close(self) -> None:
        self._live.stop()
        for event in self._monitor.events:
            self._console.print(event, markup=False, highlight=False)
        if self._monitor.name:
            self._console.print(launch_headline(self._monitor), markup=False, highlight=False)

    def _render(self) -> RenderableType:
        warning = [Text(self._warning, style="bold yellow")] if self._warning else []
        if self._text:
            return Group(*warning, Text(self._text, style="dim"))
        monitor = self._monitor
        parts: list[RenderableType] = [*warning, Text(launch_headline(monitor), style="bold")]
        parts.append(overall_bar(monitor.settled, monitor.total))
        parts.append(Fitted(_trials_table(monitor.placed_trials)))
        parts += [Text(event, style="yellow") for event in monitor.events[-3:]]
        if monitor.front is not None and monitor.front.num_rows:
            parts.append(Fitted(front_table(monitor.front, monitor.objectives, ROWS)))
        return Group(*parts)


def launch_headline(monitor: Monitor) -> str:
    """Return the state of a launch in one line. Trials that wait for resources are not counted."""
    seconds_left = monitor.seconds_left()
    summary = Summary(
        name=monitor.name,
        total=monitor.total,
        counts={
            "finished": monitor.finished_count,
            "running": len(monitor.placed_trials),
            "stopped": monitor.stopped_count,
            "infeasible": monitor.infeasible_count,
            "failed": monitor.failed_count,
        },
        seconds_left=seconds_left if monitor.settled < monitor.total else None,
        front=None if monitor.front is None else monitor.front.num_rows,
        extended=len(monitor.extended),
    )
    return headline(summary, show_idle=True)


def _trials_table(running: Sequence[Running]) -> Table:
    table = SparingTable(box=None, pad_edge=False, show_header=False)
    table.spare = ("bar", "accuracy", "phase")
    for name in ("trial", "phase", "bar", "epochs", "accuracy"):
        table.add_column(name, no_wrap=True)
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
