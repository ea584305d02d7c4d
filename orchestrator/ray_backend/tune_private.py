"""Every private name of Ray Tune that this project uses. A test says when one of them is gone."""

from __future__ import annotations

import shutil
from typing import Any

CHECKED_WITH = "2.60.0"
"""Version of Ray that these names were checked with."""

CONTROLLER = ("_trials", "_trial_to_actor", "_stopped_trials", "_failed_trials", "_live_trials", "_trials_to_cache",
              "_trial_metadata")  # fmt: skip
"""Private attributes of Tune's controller."""


def forget_finished(controller: Any, at_least: int = 50) -> None:
    """Take finished trials out of Tune's memory, many at a time: it keeps some 45 KB of each for ever."""
    over = [t for t in controller._trials if t.is_finished() and t not in controller._trial_to_actor]
    if len(over) < at_least:
        return
    gone = set(over)
    controller._trials[:] = [trial for trial in controller._trials if trial not in gone]
    for kept in ("_stopped_trials", "_failed_trials", "_live_trials", "_trials_to_cache"):
        getattr(controller, kept).difference_update(gone)
    for trial in over:
        controller._trial_metadata.pop(trial.trial_id, None)
        shutil.rmtree(trial.local_path, ignore_errors=True)
