"""Opening the sinks that the command line names."""

from __future__ import annotations

import importlib.util
import os

from results.errors import ResultsError
from results.sinks.sink import Sink


def open_sinks(
    tensorboard: str | os.PathLike[str] | None = None, mlflow: str | os.PathLike[str] | None = None
) -> list[Sink]:
    """Return the sinks that are given: for a TensorBoard folder, and for an MLflow tracking URI or SQLite file.

    Raises:
        ResultsError: an extra is not installed, or its target cannot be written to.
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
