"""Every private name of Ray Tune that this project uses.

``tests/orchestrator/ray_backend/test_tune_private.py`` fails if a version of Ray no longer has one of them.
"""

from __future__ import annotations

import shutil

from ray.tune.execution.tune_controller import TuneController

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
