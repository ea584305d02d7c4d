"""Arguments and options that several commands share, and checks of their values."""

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
        help="Maximize this column; repeatable. Without --max and --min: the objectives of the sweep.",
        autocompletion=completion.number_columns,
    ),
]
Minimize = Annotated[
    list[str] | None,
    typer.Option(
        "--min",
        metavar="COL",
        help="Minimize this column; repeatable.",
        autocompletion=completion.number_columns,
    ),
]
Where = Annotated[
    str | None,
    typer.Option(
        metavar="EXPR",
        help="Keep only the points that match, such as 'accuracy > 0.9 and splitting in (1, 2)'.",
        autocompletion=completion.columns,
    ),
]
Output = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write to FILE, not to the terminal.")
]
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
        help="Log to MLflow, a tracking server or a SQLite file; needs shrinksweep[mlflow].",
    ),
]


def is_pattern(run: str) -> bool:
    """Whether RUN looks like a pattern such as ``runs/*``. The query of a URI does not count."""
    from results.storage.backends.credentials import without_credentials
    from results.storage.backends.remote_storage import split_uri

    return any(character in split_uri(without_credentials(run))[0] for character in "*?[")


def open_one_or_more(run: str) -> Run:
    """Open a run, or all runs that match a pattern such as ``runs/*``.

    Raises:
        NoRunError: there is no run.
    """
    from results import RunDirectory, open_run, open_runs

    return open_runs(run) if is_pattern(run) and not RunDirectory(run).exists() else open_run(run)


def parse_pairs(option: str, pairs: Sequence[str] | None) -> dict[str, float] | None:
    """Parse the ``COL=NUMBER`` pairs of an option; None if there are none.

    Raises:
        OrchestratorError: a pair has another form.
    """
    from orchestrator.errors import OrchestratorError

    parsed: dict[str, float] = {}
    for pair in pairs or ():
        name, _, number = pair.partition("=")
        try:
            parsed[name] = float(number)
        except ValueError:
            raise OrchestratorError(f"`{option}` must be COL=NUMBER, but got {pair!r}") from None
    return parsed or None


def check_choice(option: str, value: str, choices: Sequence[str]) -> None:
    """Check that the value of an option is one of its choices.

    Raises:
        OrchestratorError: it is not.
    """
    from orchestrator.errors import OrchestratorError

    if value not in choices:
        raise OrchestratorError(f"`{option}` must be one of {', '.join(choices)}, but got {value!r}")
