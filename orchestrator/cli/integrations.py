"""``log`` and ``optuna``: a run in the tools that people look at other experiments with."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.options import MLflow, RunPath, TensorBoard

Study = Annotated[
    str,
    typer.Option(
        "-o", "--output", metavar="FILE", help="A journal (*.log), a SQLite file or a database URL."
    ),
]


def log(run: RunPath, tensorboard: TensorBoard = None, mlflow: MLflow = None) -> None:
    """Bring a run to TensorBoard or MLflow.

    Configurations, epochs and points; only what is missing there, so it may be called again, also while the sweep
    runs.

    \b
    Examples:
      shrinksweep log runs/digits --tensorboard logs
      shrinksweep log runs/digits --mlflow mlflow.db
    """
    from orchestrator.errors import OrchestratorError
    from results import open_run
    from results.sinks import Follower, open_sinks

    if tensorboard is None and mlflow is None:
        raise OrchestratorError("`log` needs a place: give --tensorboard DIR or --mlflow URI")
    directory = open_run(run).directory
    written = [Follower(directory, sink).finish() for sink in open_sinks(tensorboard, mlflow)]
    typer.echo(f"wrote {sum(written)} numbers that were missing")


def optuna(run: RunPath, output: Study = "study.log") -> None:
    """Write a run as an Optuna study, for optuna-dashboard.

    Every point is one trial of the study; only what is missing is added. A journal takes a millisecond a point, a
    database ten to forty.

    \b
    Examples:
      shrinksweep optuna runs/digits -o study.log
      optuna-dashboard study.log
    """
    from orchestrator.searchers.optuna_study import write_study
    from results import open_run

    added, name = write_study(open_run(run).directory, output)
    typer.echo(f"added {added} trials to the study {name} in {output}")
