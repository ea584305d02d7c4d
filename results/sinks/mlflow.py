"""MLflow: an experiment for each sweep, a run in it for each trial."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any

from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient

from results.errors import ResultsError
from results.sinks.follower import Scalar, Trial

KEY_TAG, STATE_TAG, REASON_TAG = "shrinksweep.trial_key", "shrinksweep.state", "shrinksweep.reason"
_STATES = {"finished": "FINISHED", "failed": "FAILED", "stopped": "KILLED", "infeasible": "KILLED"}
_METRICS, _PARAMS, _LONGEST = 1000, 100, 6000
"""What MLflow takes at once, and the longest value of a parameter."""


class MLflow:
    """Runs at a tracking URI, found again by their tag ``shrinksweep.trial_key``."""

    def __init__(self, uri: str) -> None:
        logging.getLogger("mlflow").setLevel(logging.ERROR)
        logging.getLogger("alembic").setLevel(logging.ERROR)
        uri = uri if ":" in uri else f"sqlite:///{uri}"
        try:
            self._client = MlflowClient(tracking_uri=uri)
            self._client.search_experiments(max_results=1)
        except Exception as error:  # those of its store: network, database, its own
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ResultsError(
                f"--mlflow must be a tracking URI or a file, but got {uri}: {reason}"
            ) from None
        self._runs: dict[str, str] = {}

    def begin(self, trial: Trial) -> set[tuple[str, int]]:
        experiment = self._experiment(trial.sweep)
        found = self._client.search_runs([experiment], f"tags.`{KEY_TAG}` = '{trial.key}'", max_results=1)
        if found:
            self._runs[trial.key] = found[0].info.run_id
            return self._steps(found[0])
        tags = {
            KEY_TAG: trial.key, "shrinksweep.run": trial.run, "shrinksweep.trial_index": str(trial.index),
            "mlflow.source.name": "shrinksweep",
        }  # fmt: skip
        name = f"{trial.index:06d}-{trial.key[:8]}"
        run = self._client.create_run(experiment, tags=tags, run_name=name)
        self._runs[trial.key] = run.info.run_id
        parameters = [Param(key, _text(value)[:_LONGEST]) for key, value in trial.parameters.items()]
        for start in range(0, len(parameters), _PARAMS):
            self._client.log_batch(run.info.run_id, params=parameters[start : start + _PARAMS])
        return set()

    def write(self, trial: Trial, scalars: Sequence[Scalar]) -> None:
        metrics = [Metric(s.tag, s.value, int(s.at * 1000), s.step) for s in scalars]
        for start in range(0, len(metrics), _METRICS):
            self._client.log_batch(self._runs[trial.key], metrics=metrics[start : start + _METRICS])

    def finish(self, trial: Trial, state: str, reason: str | None) -> None:
        run_id = self._runs[trial.key]
        self._client.set_tag(run_id, STATE_TAG, state)
        if reason is not None:
            self._client.set_tag(run_id, REASON_TAG, reason)
        self._client.set_terminated(run_id, _STATES[state])

    def close(self) -> None:
        pass

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        return found.experiment_id if found is not None else str(self._client.create_experiment(name))

    def _steps(self, run: Any) -> set[tuple[str, int]]:
        names = run.data.metrics
        return {
            (name, metric.step)
            for name in names
            for metric in self._client.get_metric_history(run.info.run_id, name)
        }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
