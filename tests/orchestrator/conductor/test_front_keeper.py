"""When the front is refreshed, and with which trials."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator import Sweep
from orchestrator.conductor.front_keeper import REFRESH_EVERY_S, FrontKeeper
from orchestrator.sweep.dimensions import Assignment
from results import RunDirectory
from tests.doubles.fake_trials import noop_trial
from tests.orchestrator.conftest import small_sweep
from trials.context import TrialContext


class Launch:
    """A front keeper with a clock, and trials that finish at once."""

    def __init__(self, path: Path) -> None:
        self.sweep: Sweep = small_sweep(objectives={"accuracy": "max", "macs": "min"})
        self.directory = RunDirectory(path, create=True)
        self.now = 0.0
        self.keeper = FrontKeeper(self.sweep, self.directory, lambda: self.now, finished=0)

    def finish(self, splitting: int) -> None:
        assignment: Assignment = {"space.splitting": splitting}
        config = self.sweep.config(assignment)
        noop_trial(config, TrialContext(self.directory, splitting, self.sweep.name))
        self.keeper.add(config.trial_key())


@pytest.fixture
def launch(tmp_path: Path) -> Launch:
    return Launch(tmp_path)


def test_nothing_is_refreshed_until_a_trial_has_finished(launch: Launch) -> None:
    assert launch.keeper.refresh(finished=0) is None
    assert launch.directory.read_front() is None


def test_trials_that_finish_soon_after_a_refresh_wait_for_the_next(launch: Launch) -> None:
    launch.finish(1)
    first = launch.keeper.refresh(finished=1)
    assert first is not None
    launch.finish(2)
    assert launch.keeper.refresh(finished=2) is None
    launch.now = REFRESH_EVERY_S
    assert launch.keeper.refresh(finished=2) is not None
    assert launch.keeper.refresh(finished=2) is None


def test_the_first_refresh_reads_the_trials_of_earlier_launches_too(launch: Launch) -> None:
    launch.finish(1)  # the smallest macs: always on the front
    resumed = FrontKeeper(launch.sweep, launch.directory, lambda: 0.0, finished=1)
    launch.keeper = resumed
    launch.finish(4)
    front = resumed.refresh(finished=2)
    assert front is not None
    assert 1 in front["trial_index"].to_pylist()
