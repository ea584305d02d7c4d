"""What a launch shows in a notebook: one output that is brought up to date, instead of a growing one."""

from __future__ import annotations

import time
from collections.abc import Callable
from html import escape
from typing import Protocol

from typing_extensions import override

from orchestrator.conductor.monitor import Monitor
from orchestrator.status.views import ROWS, View, launch_headline

EVERY_S = 1.0
"""Seconds between two updates."""

Bundle = dict[str, str]
"""The same content in several MIME types."""


class Handle(Protocol):
    """An output of a notebook cell."""

    def update(self, content: Bundle, /, *, raw: bool) -> None:
        """Replace what the output shows."""


def open_output() -> Handle:
    """Add an empty output to the cell that runs."""
    from IPython.display import DisplayHandle

    handle = DisplayHandle()
    handle.display({"text/plain": ""}, raw=True)
    return handle


class NotebookView(View):
    """Shows the headline, a bar for every running trial, and the failed attempts, in one output."""

    def __init__(
        self,
        monitor: Monitor,
        output: Callable[[], Handle] = open_output,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._monitor, self._clock = monitor, clock
        self._output = output()
        self._updated_at = -EVERY_S

    @override
    def say(self, text: str) -> None:
        self._output.update({"text/plain": text, "text/html": f"<p>{escape(text)}</p>"}, raw=True)

    @override
    def warn(self, text: str) -> None:
        self._monitor.events.append(text)

    @override
    def refresh(self) -> None:
        now = self._clock()
        if now - self._updated_at >= EVERY_S:
            self._updated_at = now
            self._show()

    @override
    def close(self) -> None:
        self._show()

    def _show(self) -> None:
        monitor = self._monitor
        if not monitor.name:  # ended before it began: what was said last stays
            return
        line = launch_headline(monitor)
        rows = [f"<p>{escape(line)}<br>{_bar(monitor.settled, monitor.total)}</p>"]
        for trial in monitor.placed_trials[:ROWS]:
            text = f"trial {trial.index}, {trial.phase}, {trial.step} of {trial.epochs} epochs"
            rows.append(f"<div>{_bar(trial.step, trial.epochs)} {escape(text)}</div>")
        rows += [f"<div>{escape(event)}</div>" for event in monitor.events[-ROWS:]]
        self._output.update({"text/plain": line, "text/html": "\n".join(rows)}, raw=True)


def _bar(done: int, total: int) -> str:
    return f'<progress value="{done}" max="{max(1, total)}"></progress>'
