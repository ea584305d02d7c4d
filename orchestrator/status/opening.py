"""Which view a launch shows: by where its output goes."""

from __future__ import annotations

from rich.console import Console

from orchestrator.conductor.monitor import Monitor
from orchestrator.status.notebook_view import NotebookView
from orchestrator.status.views import LiveView, PlainView, Silent, View


def open_view(monitor: Monitor, console: Console | None) -> View:
    """Return a live view on a terminal or in a notebook, plain lines elsewhere, a silent view without a console."""
    if console is None:
        return Silent()
    if console.is_jupyter:
        return NotebookView(monitor)
    return LiveView(monitor, console) if console.is_terminal else PlainView(monitor, console)
