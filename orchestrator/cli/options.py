"""Arguments and options that several commands share, and the readers of those that hold pairs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli import completion

if TYPE_CHECKING:
    from results import Run

SweepFile = Annotated[
    Path,
    typer.Argument(metavar="SWEEP.yaml", help="The sweep file.", autocompletion=completion.sweep_files),
]
RunPath = Annotated[
    str,
    typer.Argument(metavar="RUN", help="A run directory, or its URI.", autocompletion=completion.runs),
]
Maximize = Annotated[
    list[str] | None,
    typer.Option(
        "--max",
        metavar="COL",
        help="More of this column is better; repeatable. Without --max and --min: the sweep's objectives.",
        autocompletion=completion.number_columns,
    ),
]
Minimize = Annotated[
    list[str] | None,
    typer.Option(
        "--min",
        metavar="COL",
        help="Less of this column is better; repeatable.",
        autocompletion=completion.number_columns,
    ),
]
Where = Annotated[
    str | None,
    typer.Option(
        metavar="EXPR",
        help="Keep the points it is true for, such as 'accuracy > 0.9 and splitting in (1, 2)'.",
        autocompletion=completion.columns,
    ),
]
Output = Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write to a file.")]

TensorBoard = Annotated[
    Path | None,
    typer.Option(
        "--tensorboard", metavar="DIR", help="Log to event files in DIR; needs shrinksweep[tensorboard]."
    ),
]
MLflow = Annotated[
    str | None,
    typer.Option(
        "--mlflow",
        metavar="URI",
        help="Log to MLflow: a tracking server, or a SQLite file; needs shrinksweep[mlflow].",
    ),
]


def is_pattern(run: str) -> bool:
    """Say whether RUN names several runs, as in ``runs/*``; the query of a URI is no pattern."""
    from results.storage.remote_storage import split_uri

    return any(sign in split_uri(run)[0] for sign in "*?[")


def open_one_or_more(run: str) -> Run:
    """Open the run, or all runs that a pattern such as ``runs/*`` finds. Error: ``NoRunError``."""
    from results import open_run, open_runs

    return open_runs(run) if is_pattern(run) else open_run(run)


def numbers(option: str, pairs: Sequence[str] | None) -> dict[str, float] | None:
    """Return ``COL=NUMBER`` pairs as a mapping; None for no pairs. Error: ``OrchestratorError``."""
    from orchestrator.errors import OrchestratorError

    found: dict[str, float] = {}
    for pair in pairs or ():
        name, _, text = pair.partition("=")
        try:
            found[name] = float(text)
        except ValueError:
            raise OrchestratorError(f"`{option}` must be COL=NUMBER, but got {pair!r}") from None
    return found or None


def one_of(option: str, value: str, known: Sequence[str]) -> str:
    """Return ``value`` if it is known. Error: ``OrchestratorError``."""
    from orchestrator.errors import OrchestratorError

    if value not in known:
        raise OrchestratorError(f"`{option}` must be one of {', '.join(known)}, but got {value!r}")
    return value
