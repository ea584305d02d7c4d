"""Opening sinks by what the command line names."""

from __future__ import annotations

import importlib.util
import os

from results.errors import ResultsError
from results.sinks.follower import Sink


def open_sinks(
    tensorboard: str | os.PathLike[str] | None = None, mlflow: str | os.PathLike[str] | None = None
) -> list[Sink]:
    """Return a sink for the folder ``tensorboard`` and one for the tracking URI ``mlflow``, as far as given.

    A path in place of an MLflow URI is a SQLite file. Error: ``ResultsError`` when the extra is not installed, or
    the place cannot be written to.
    """
    sinks: list[Sink] = []
    if tensorboard is not None:
        _require("tensorboard")
        from results.sinks.tensorboard import TensorBoard

        sinks.append(TensorBoard(tensorboard))
    if mlflow is not None:
        _require("mlflow")
        from results.sinks.mlflow import MLflow

        sinks.append(MLflow(os.fspath(mlflow)))
    return sinks


def _require(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise ResultsError(
            f"--{package} needs the package {package}, but it is not installed: pip install 'shrinksweep[{package}]'"
        )
