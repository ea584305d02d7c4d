"""The command line: one file for each group of commands.

Here: arguments, help texts, printing. Not here: what the commands do; each calls the package that does it, and imports
it only then, so that ``shrinksweep --help`` loads neither torch nor Ray. Read first: ``launching.py``.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from orchestrator.cli.comparing import compare
from orchestrator.cli.exporting import export, report
from orchestrator.cli.fronts import front
from orchestrator.cli.integrations import log, optuna
from orchestrator.cli.launching import launch, plan
from orchestrator.cli.schemas import schema
from orchestrator.cli.watching import status
from shrinksweep import ShrinksweepError

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)


def _print_version(requested: bool) -> None:
    if requested:
        from shrinksweep import __version__

        typer.echo(f"shrinksweep {__version__}")
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit."),
]


@app.callback()
def shrinksweep(version: Version = False) -> None:
    """Launch sweeps of neural architecture searches, and read their results.

    \b
    Examples:
      shrinksweep plan sweep.yaml         # check a sweep file; nothing starts
      shrinksweep launch sweep.yaml       # run the sweep, or resume it
      shrinksweep status runs/digits -w   # watch its progress
      shrinksweep front runs/digits       # show its Pareto front

    RUN is a run directory or its URI, such as s3://bucket/runs/digits.

    Exit status: 0 done; 1 some trials failed for good, or the launch was interrupted; 2 bad input.
    """


for command in (plan, launch, status, front, compare, report, export, log, optuna, schema):
    app.command()(command)


def main() -> None:
    """Run the command line. A fault of the user or the site ends it with exit status 2 and a line for each fault."""
    _open_closed_streams()
    try:
        status = app(standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:  # its reader has what it wants, as in `shrinksweep front RUN | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        from results.errors import printable

        lines = _fault_lines(error)
        if lines is None:
            raise
        for line in lines:
            typer.echo(f"error: {printable(line)}", err=True)
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    sys.exit(status if isinstance(status, int) else 0)


def _open_closed_streams() -> None:
    """Send to nowhere what is printed to an output that is closed, as by ``shrinksweep plan sweep.yaml >&-``."""
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115


def _fault_lines(error: Exception) -> list[str] | None:
    """Return one line for each fault of the user or the site, or None if the error is a bug."""
    if hasattr(error, "format_message"):  # an error of the parser, click's own or the copy inside typer
        return [" ".join(error.format_message().split()) or "a command must be given; see shrinksweep --help"]
    if isinstance(error, ShrinksweepError):
        return str(error).splitlines()
    if isinstance(error, OSError):
        return [" ".join(f"the system must do what is asked of it, but {error}".split())]
    return None


if __name__ == "__main__":
    main()
