"""The command ``status``: the state of a run, once or continuously."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.options import RunPath, check_choice

if TYPE_CHECKING:
    from rich.console import Console, JustifyMethod, RenderableType
    from rich.table import Table

    from orchestrator.status.status import Status

MOST = 20
"""The most trials, and the most reasons, that a terminal shows. Elsewhere all are printed."""

FORMATS = ("text", "csv", "json")

Watch = Annotated[bool, typer.Option("-w", "--watch", help="Update the status until the run is complete.")]
Every = Annotated[float, typer.Option(metavar="S", min=0.1, help="Seconds between two updates of --watch.")]
Form = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="F",
        help="text; or one row per trial, as csv or json.",
        autocompletion=lambda incomplete: [form for form in FORMATS if form.startswith(incomplete)],
    ),
]


def status(run: RunPath, watch: Watch = False, every: Every = 2.0, form: Form = "text") -> None:
    """Show the state of a run.

    Shows finished and running trials, failures with their reasons, and the time left. It only reads the files of the
    run, so it works on any machine that sees them, during the run and after it.

    \b
    Examples:
      shrinksweep status runs/digits
      shrinksweep status runs/digits --watch
      shrinksweep status s3://bucket/runs/digits -w --every 10
      shrinksweep status runs/digits --format csv
    """
    from orchestrator.cli.output import open_console, write_frame
    from orchestrator.status.status import read_status
    from results import open_run

    check_choice("--format", form, FORMATS)
    opened = open_run(run)
    if form != "text":
        write_frame(opened.trials().drop(columns="failures"), form, None)
        return
    console = open_console()
    if watch:
        _watch((read_status(opened) for _ in _ticks(every)), console)
    else:
        console.print(*_parts(read_status(opened), console), sep="\n", soft_wrap=not console.is_terminal)


def _ticks(every: float) -> Iterator[None]:
    while True:
        yield
        time.sleep(every)


def _watch(updates: Iterator[Status], console: Console) -> None:
    """Show each update in place of the last one. Off a terminal, print the headline whenever it changes."""
    from rich.console import Group
    from rich.live import Live

    from orchestrator.status.headline import headline

    if not console.is_terminal:
        last_line = ""
        for state in updates:
            if (line := headline(state.summary)) != last_line:
                console.print(last_line := line, markup=False, highlight=False)
            if state.complete:
                return
    with Live(console=console, auto_refresh=False) as live:
        for state in updates:
            live.update(Group(*_parts(state, console)), refresh=True)
            if state.complete:
                return


def _parts(state: Status, console: Console) -> list[RenderableType]:
    from rich.text import Text

    from orchestrator.cli.output import plain_lines
    from orchestrator.status.headline import headline
    from orchestrator.status.narrow import Fitted, overall_bar

    drawn = console.is_terminal
    parts: list[RenderableType] = [Text(headline(state.summary), style="bold")]
    if drawn:
        parts.append(overall_bar(state.settled, state.total))
    table = _trials_table(state, drawn)
    if state.running:
        parts += [Fitted(table)] if drawn else map(Text, plain_lines(table))
    most = MOST if drawn else None
    parts += [Text(f"trial {i} failed for good: {why}", style="red") for i, why in state.failed[:most]]
    parts += [Text(f"trial {i} is tried again: {why}", style="yellow") for i, why in state.retried[:most]]
    parts += [Text(f"cannot be read: {line}", style="yellow") for line in state.broken[:most]]
    if state.launch is not None:
        parts.append(Text(f"launched by {state.launch}", style="dim"))
    elif not state.complete:
        parts.append(Text("no launch is running: launch again to resume", style="yellow"))
    return parts


def _trials_table(state: Status, drawn: bool) -> Table:
    from rich.progress_bar import ProgressBar

    from orchestrator.status.narrow import SparingTable
    from orchestrator.status.tables import format_cell
    from results.durations import format_duration

    table = SparingTable(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.spare = ("host", "progress", "last epoch", "accuracy")
    for heading in ("trial", "phase", "progress", "epochs", "accuracy", "host", "last epoch"):
        justify: JustifyMethod = "right" if heading in ("trial", "epochs", "accuracy") else "left"
        table.add_column(heading, justify=justify, no_wrap=True)
    for trial in state.running[: MOST if drawn else None]:
        table.add_row(
            str(trial.index),
            trial.phase,
            ProgressBar(
                total=trial.epochs or max(1, trial.epochs_done), completed=trial.epochs_done, width=20
            ),
            f"{trial.epochs_done}/{trial.epochs or '?'}",
            format_cell(trial.accuracy),
            trial.host,
            f"{format_duration(trial.silent_s)} ago",
        )
    if drawn and len(state.running) > MOST:
        table.add_row("...", f"and {len(state.running) - MOST} more")
    return table
