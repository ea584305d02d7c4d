"""``status``: what a run has come to, once or again and again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.options import RunPath, one_of

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

    from orchestrator.status.status import Status

MOST = 20
"""Trials and reasons that a terminal shows at most; piped, all are there."""

Watch = Annotated[bool, typer.Option("-w", "--watch", help="Show it again and again until the run is over.")]
Every = Annotated[float, typer.Option(metavar="S", min=0.1, help="Seconds between two looks of --watch.")]
Form = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="F",
        help="text, or a row a trial as csv or json.",
        autocompletion=lambda incomplete: [f for f in ("text", "csv", "json") if f.startswith(incomplete)],
    ),
]


def status(run: RunPath, watch: Watch = False, every: Every = 2.0, form: Form = "text") -> None:
    """Say what a run has come to.

    What runs where, failures and their reasons, the time left: from the run's files and nothing else, so it works
    while the sweep runs, from another machine, and long after.

    \b
    Examples:
      shrinksweep status runs/digits
      shrinksweep status runs/digits --watch
      shrinksweep status s3://bucket/runs/digits -w --every 10
      shrinksweep status runs/digits --format csv    # a row a trial
    """
    from orchestrator.cli.output import open_console, write_frame
    from orchestrator.status.status import read_status
    from results import open_run

    one_of("--format", form, ("text", "csv", "json"))
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


def _watch(looks: Iterator[Status], console: Console) -> None:
    """Show each look in the place of the last; piped, a line whenever it says something new."""
    from rich.console import Group
    from rich.live import Live

    if not console.is_terminal:
        said = ""
        for look in looks:
            if (line := headline(look)) != said:
                console.print(said := line, markup=False, highlight=False)
            if look.complete:
                return
    with Live(console=console, auto_refresh=False) as live:
        for look in looks:
            live.update(Group(*_parts(look, console)), refresh=True)
            if look.complete:
                return


def headline(look: Status) -> str:
    """Return the state of a run in one line."""
    from orchestrator.status.progress import duration

    counts = look.counts | {"proposed": look.total - look.settled - look.counts.get("running", 0)}
    parts = [f"{look.name}: {counts.get('finished', 0)} of {look.total} trials finished"]
    for state, said in (("running", "running"), ("proposed", "waiting"), ("stopped", "stopped early"),
                        ("infeasible", "infeasible"),
                        ("failed", "failed")):  # fmt: skip
        parts += [f"{counts[state]} {said}"] if counts.get(state) else []
    if look.seconds_left is not None:
        parts.append(f"about {duration(look.seconds_left)} left")
    if look.front is not None:
        parts.append(f"{look.front} points on the front")
    return ", ".join(parts)


def _parts(look: Status, console: Console) -> list[RenderableType]:
    from rich.progress_bar import ProgressBar
    from rich.text import Text

    from orchestrator.cli.output import plain_lines

    drawn = console.is_terminal
    parts: list[RenderableType] = [Text(headline(look), style="bold")]
    if drawn:
        parts.append(ProgressBar(total=max(1, look.total), completed=look.settled, width=60))
    table = _trials(look, drawn)
    if look.working:
        parts += [table] if drawn else map(Text, plain_lines(table))
    most = MOST if drawn else None
    parts += [Text(f"trial {i} failed for good: {why}", style="red") for i, why in look.failed[:most]]
    parts += [Text(f"trial {i} is tried again: {why}", style="yellow") for i, why in look.retried[:most]]
    parts += [Text(f"cannot be read: {line}", style="yellow") for line in look.broken[:most]]
    if look.launch is not None:
        parts.append(Text(f"launched by {look.launch}", style="dim"))
    elif not look.complete:
        parts.append(Text("no launch works on it: launch again to go on", style="yellow"))
    return parts


def _trials(look: Status, drawn: bool) -> Table:
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    from orchestrator.status.progress import cell, duration

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("trial", "phase", "progress", "epochs", "accuracy", "host", "last epoch"):
        table.add_column(heading, justify="right" if heading in ("trial", "epochs", "accuracy") else "left")
    for trial in look.working[: MOST if drawn else None]:
        epochs = trial.epochs or max(1, trial.done)
        table.add_row(
            str(trial.index),
            trial.phase,
            ProgressBar(total=epochs, completed=trial.done, width=20),
            f"{trial.done}/{trial.epochs or '?'}",
            cell(trial.accuracy),
            trial.host,
            f"{duration(trial.quiet_s)} ago",
        )
    if drawn and len(look.working) > MOST:
        table.add_row("...", f"and {len(look.working) - MOST} more")
    return table
