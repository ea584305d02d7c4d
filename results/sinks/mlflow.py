"""MLflow: one experiment for each sweep, one run in it for each trial."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence

from mlflow.entities import Metric, Param, Run
from mlflow.tracking import MlflowClient
from typing_extensions import override

from results.errors import ResultsError
from results.sinks.sink import Scalar, Sink, TagStep, Trial
from results.states import TrialState

KEY_TAG, STATE_TAG, REASON_TAG = "shrinksweep.trial_key", "shrinksweep.state", "shrinksweep.reason"
_STATUS: dict[TrialState, str] = {
    "finished": "FINISHED",
    "failed": "FAILED",
    "stopped": "KILLED",
    "infeasible": "KILLED",
}
_MAX_METRICS, _MAX_PARAMS, _MAX_LENGTH = 1000, 100, 6000
"""Limits of MLflow: metrics and parameters of one call, characters of a parameter."""


class MLflow(Sink):
    """Runs at a tracking URI, identified by their tag ``shrinksweep.trial_key``."""

    def __init__(self, uri: str) -> None:
        logging.getLogger("mlflow").setLevel(logging.ERROR)
        logging.getLogger("alembic").setLevel(logging.ERROR)
        uri = uri if ":" in uri else f"sqlite:///{uri}"
        try:
            self._client = MlflowClient(tracking_uri=uri)
            self._client.search_experiments(max_results=1)
        except Exception as error:  # of MLflow, the network or the database
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ResultsError(
                f"--mlflow must be a tracking URI or a file, but got {uri}: {reason}"
            ) from None
        self._run_ids: dict[str, str] = {}

    @override
    def begin(self, trial: Trial) -> set[TagStep]:
        experiment = self._experiment_id(trial.sweep)
        found = self._client.search_runs([experiment], f"tags.`{KEY_TAG}` = '{trial.key}'", max_results=1)
        if found:
            self._run_ids[trial.key] = found[0].info.run_id
            return self._written(found[0])
        tags = {
            KEY_TAG: trial.key, "shrinksweep.run": trial.run, "shrinksweep.trial_index": str(trial.index),
            "mlflow.source.name": "shrinksweep",
        }  # fmt: skip
        name = f"{trial.index:06d}-{trial.key[:8]}"
        run_id = self._client.create_run(experiment, tags=tags, run_name=name).info.run_id
        self._run_ids[trial.key] = run_id
        parameters = [Param(key, _text(value)[:_MAX_LENGTH]) for key, value in trial.parameters.items()]
        for start in range(0, len(parameters), _MAX_PARAMS):
            self._client.log_batch(run_id, params=parameters[start : start + _MAX_PARAMS])
        return set()

    @override
    def write(self, trial: Trial, scalars: Sequence[Scalar]) -> None:
        metrics = [Metric(s.tag, s.value, int(s.at * 1000), s.step) for s in scalars]
        for start in range(0, len(metrics), _MAX_METRICS):
            self._client.log_batch(self._run_ids[trial.key], metrics=metrics[start : start + _MAX_METRICS])

    @override
    def finish(self, trial: Trial, state: TrialState, reason: str | None) -> None:
        run_id = self._run_ids[trial.key]
        self._client.set_tag(run_id, STATE_TAG, state)
        if reason is not None:
            self._client.set_tag(run_id, REASON_TAG, reason)
        self._client.set_terminated(run_id, _STATUS[state])

    @override
    def close(self) -> None:
        pass

    def _experiment_id(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        return found.experiment_id if found is not None else str(self._client.create_experiment(name))

    def _written(self, run: Run) -> set[TagStep]:
        return {
            (name, metric.step)
            for name in run.data.metrics
            for metric in self._client.get_metric_history(run.info.run_id, name)
        }


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
