"""Every private name of Ray and Ray Tune that this project uses.

``tests/orchestrator/ray_backend/test_tune_private.py`` fails if a version of Ray no longer has one of them.
"""

from __future__ import annotations

import shutil

from ray.experimental import internal_kv
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial

CHECKED_WITH = "2.60.0"
"""The version of Ray for which the private names were last checked."""


def forget_finished(controller: TuneController, at_least: int = 50) -> None:
    """Remove finished trials from Tune's memory, which would keep about 45 KB of each until the end.

    Nothing is done for fewer than ``at_least`` trials: a removal costs time in proportion to all trials.
    """
    finished = [
        trial
        for trial in controller._trials
        if trial.is_finished() and trial not in controller._trial_to_actor
    ]
    if len(finished) < at_least:
        return
    removed = set(finished)
    controller._trials[:] = [trial for trial in controller._trials if trial not in removed]
    controller._stopped_trials.difference_update(removed)
    controller._failed_trials.difference_update(removed)
    controller._live_trials.difference_update(removed)
    controller._trials_to_cache.difference_update(removed)
    for trial in finished:
        controller._trial_metadata.pop(trial.trial_id, None)
        shutil.rmtree(trial.local_path, ignore_errors=True)


def next_to_start(controller: TuneController) -> Trial | None:
    """Return the first trial for which Tune has not requested a process yet, or else the first that waits for one.

    Tune itself takes the first that waits. A free process then gets a trial whose own process is about to start, which
    is cancelled, and so on: trials shorter than the start of a process would all run in one.
    """
    waiting = [trial for trial in controller._trials if trial.status == Trial.PENDING]
    new = (trial for trial in waiting if trial not in controller._trial_to_actor)
    return next(new, waiting[0] if waiting else None)


NAMESPACE = "shrinksweep"


def share(key: str, value: str) -> None:
    """Share a small value with all processes of the Ray cluster."""
    internal_kv._internal_kv_put(key, value, overwrite=True, namespace=NAMESPACE)


def shared(prefix: str) -> list[bytes]:
    """Return what was shared under the keys that begin with ``prefix``."""
    keys = internal_kv._internal_kv_list(prefix, namespace=NAMESPACE)
    values = [internal_kv._internal_kv_get(key, namespace=NAMESPACE) for key in keys]
    return [value for value in values if value is not None]


def forget_shared(prefix: str) -> None:
    """Delete what was shared under the keys that begin with ``prefix``."""
    internal_kv._internal_kv_del(prefix, del_by_prefix=True, namespace=NAMESPACE)
