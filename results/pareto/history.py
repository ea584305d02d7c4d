"""Hypervolume over the course of a sweep: against finished trials, epochs and wall time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.pareto import pareto
from results.pareto.objectives import Objectives

PHASES_S = ["search_s", "train_s", "ladder_s"]
"""Columns of the points with the duration of each phase of a trial, seconds."""


def hypervolume_history(
    points: pd.DataFrame,
    progress: pd.DataFrame,
    objectives: Objectives,
    reference: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Return one row for each finished trial, in the order of finishing.

    ``points`` and ``progress`` are the tables of one run. Columns:

    - ``trial_key``, ``trial_index``, ``finished_at``;
    - ``trials``: number of trials finished by then;
    - ``epochs``: epochs completed by then, over all trials, finished or not;
    - ``wall_s``: seconds since the first trial started;
    - ``hypervolume`` of all points by then. It never decreases.

    ``reference`` as in ``pareto.hypervolume``; None takes the worst values of all points.

    Raises:
        UnknownColumnError: an objective is no column.
        ResultsError: ``reference`` is not valid.
    """
    limits = objectives.vector(
        pareto.worst(points, objectives) if reference is None else reference, "`reference`"
    )
    trials = points.groupby("trial_key", observed=True, sort=False)
    finished = trials.agg(trial_index=("trial_index", "first"), finished_at=("finished_at", "max"))
    finished = finished.sort_values(["finished_at", "trial_index"]).reset_index()
    ends = finished["finished_at"]
    return finished.assign(
        trials=np.arange(1, len(finished) + 1),
        epochs=np.searchsorted(np.sort(progress["at"].to_numpy()), ends.to_numpy(), side="right"),
        wall_s=(ends - _first_start(points, progress)).dt.total_seconds(),
        hypervolume=_volumes(points, finished["trial_key"], objectives, limits * objectives.signs()),
    )


def _volumes(
    points: pd.DataFrame, keys: pd.Series[str], objectives: Objectives, limits: NDArray[np.float64]
) -> list[float]:
    """Return the hypervolume after each trial of ``keys``. Only the current front is carried from trial to trial."""
    values, complete = objectives.matrix(points)
    costs = values * objectives.signs()
    rows = points.groupby("trial_key", observed=True, sort=False).indices
    front = np.empty((0, len(objectives.names)))
    volumes: list[float] = []
    for key in keys:
        added = costs[rows[key]][complete[rows[key]]]
        candidates = np.vstack([front, added])
        candidates = candidates[pareto.nondominated(candidates)]
        unchanged = bool(volumes) and np.array_equal(candidates, front)
        volumes.append(volumes[-1] if unchanged else pareto.volume(candidates, limits))
        front = np.unique(candidates, axis=0)
    return volumes


def _first_start(points: pd.DataFrame, progress: pd.DataFrame) -> pd.Timestamp:
    """Return when the first trial started, from its first epoch or from the durations of its phases."""
    epochs = progress["at"] - pd.to_timedelta(progress["epoch_s"], unit="s")
    trials = points["finished_at"] - pd.to_timedelta(points[PHASES_S].sum(axis=1), unit="s")
    return pd.concat([epochs, trials]).min()
