"""The command line, a file for each group of commands. Ray and torch are loaded only by what needs them."""

from __future__ import annotations

import sys

import typer

from orchestrator.cli.comparing import compare
from orchestrator.cli.exporting import export, report
from orchestrator.cli.fronts import front
from orchestrator.cli.integrations import log, optuna
from orchestrator.cli.launching import launch, plan
from orchestrator.cli.schemas import schema
from orchestrator.cli.watching import status

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback()
def shrinksweep() -> None:
    """Launch sweeps of supernet searches, and read their Pareto fronts.

    \b
    Examples:
      shrinksweep plan sweep.yaml         # check a sweep, start nothing
      shrinksweep launch sweep.yaml       # run it, or go on with it
      shrinksweep status runs/digits -w   # watch it, from any machine that sees its files
      shrinksweep front runs/digits       # the points that no other dominates

    RUN is a run directory or its URI, such as s3://bucket/runs/digits. Exit status: 0 done, 1 some trials failed for
    good, 2 bad input.
    """


for command in (plan, launch, status, front, compare, report, export, log, optuna, schema):
    app.command()(command)


def main() -> None:
    """Run the command line; what the user did wrong is one line a fault, and exit status 2."""
    try:
        status = app(standalone_mode=False)
    except Exception as error:
        lines = _fault_lines(error)
        if lines is None:
            raise
        for line in lines:
            typer.echo(f"error: {line}", err=True)
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    sys.exit(status if isinstance(status, int) else 0)


def _fault_lines(error: Exception) -> list[str] | None:
    """Return what the user did wrong, or None: then it is ours."""
    if hasattr(error, "format_message"):  # the parser's, whichever package it comes from
        return [" ".join(error.format_message().split()) or "a command must be given; see shrinksweep --help"]
    if isinstance(error, ValueError):
        from orchestrator.errors import OrchestratorError
        from results import ResultsError

        if isinstance(error, OrchestratorError | ResultsError):
            return str(error).splitlines()
    return None


if __name__ == "__main__":
    main()
