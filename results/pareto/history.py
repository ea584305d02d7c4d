"""How the hypervolume grew while the sweep ran: against trials, epochs and wall time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.pareto import pareto
from results.pareto.objectives import Objectives

SPENT_S = ["search_s", "train_s", "ladder_s"]


def hypervolume_history(
    points: pd.DataFrame,
    progress: pd.DataFrame,
    objectives: Objectives,
    reference: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Return one row a finished trial, in the order in which the trials finished.

    ``points`` and ``progress`` are a run's tables. Columns: ``trial_key``, ``trial_index``, ``finished_at``;
    ``trials`` finished so far; ``epochs`` that all trials together had done by then, finished or not;
    ``wall_s`` since the sweep's first trial began, seconds; ``hypervolume`` of all points so far. The volume
    never falls. ``reference`` as in ``pareto.hypervolume``: None takes the worst values among all the points.
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
        wall_s=(ends - _start(points, progress)).dt.total_seconds(),
        hypervolume=_volumes(points, finished["trial_key"], objectives, limits * objectives.signs()),
    )


def _volumes(
    points: pd.DataFrame, order: pd.Series[str], objectives: Objectives, limits: NDArray[np.float64]
) -> list[float]:
    """Return the volume after each trial of ``order``; only what is still on the front is carried along."""
    values, complete = objectives.matrix(points)
    costs = values * objectives.signs()
    rows = points.groupby("trial_key", observed=True, sort=False).indices
    front = np.empty((0, len(objectives.names)))
    volumes: list[float] = []
    for key in order:
        own = costs[rows[key]][complete[rows[key]]]
        joined = np.vstack([front, own])
        kept = joined[pareto.nondominated(joined)]
        unchanged = bool(volumes) and np.array_equal(kept, front)
        volumes.append(volumes[-1] if unchanged else pareto.volume(kept, limits))
        front = np.unique(kept, axis=0)
    return volumes


def _start(points: pd.DataFrame, progress: pd.DataFrame) -> pd.Timestamp:
    """Return when the first trial began: by its first epoch, or by what its phases took."""
    epochs = progress["at"] - pd.to_timedelta(progress["epoch_s"], unit="s")
    trials = points["finished_at"] - pd.to_timedelta(points[SPENT_S].sum(axis=1), unit="s")
    return pd.concat([epochs, trials]).min()
