"""The commands ``log`` and ``optuna``: a run in other tools for experiments."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.options import MLflow, RunPath, TensorBoard

Study = Annotated[
    str,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE",
        help="Where to write: a journal (*.log), a SQLite file or a database URL.",
    ),
]


def log(run: RunPath, tensorboard: TensorBoard = None, mlflow: MLflow = None) -> None:
    """Log a run to TensorBoard or MLflow.

    Writes the configurations, epochs and points that are not logged yet, so it can be called again and again, also
    while the sweep runs.

    \b
    Examples:
      shrinksweep log runs/digits --tensorboard logs
      shrinksweep log runs/digits --mlflow mlflow.db
    """
    from orchestrator.errors import OrchestratorError
    from results import open_run
    from results.sinks import Follower, open_sinks

    if tensorboard is None and mlflow is None:
        raise OrchestratorError("`log` needs a destination: give --tensorboard DIR or --mlflow URI")
    directory = open_run(run).directory
    written = [Follower(directory, sink).finish() for sink in open_sinks(tensorboard, mlflow)]
    typer.echo(f"logged {sum(written)} new values")


def optuna(run: RunPath, output: Study = "study.log") -> None:
    """Write a run as an Optuna study, for optuna-dashboard.

    Every point becomes a trial of the study. Only missing points are added. A point takes about 1 ms in a journal, and
    10 to 40 ms in a database.

    \b
    Examples:
      shrinksweep optuna runs/digits -o study.log
      optuna-dashboard study.log
    """
    from orchestrator.searchers.optuna_study import write_study
    from results import open_run

    added, name = write_study(open_run(run).directory, output)
    typer.echo(f"added {added} trials to the study {name} in {output}")
