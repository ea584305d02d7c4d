"""One line for every state of a run: the same for a launch and for the files of a run."""

from __future__ import annotations

import pytest

from orchestrator.conductor.monitor import Monitor, Running
from orchestrator.status.headline import Summary, headline
from orchestrator.status.status import Status
from orchestrator.status.views import launch_headline
from results import LedgerEntry
from results.states import SETTLED, STATES, TrialState

WORDS: dict[TrialState, str] = {
    "proposed": "3 waiting",
    "running": "3 running",
    "finished": "3 of 9 trials finished",
    "stopped": "3 stopped early",
    "infeasible": "3 infeasible",
    "failed": "3 failed",
}


@pytest.mark.parametrize("state", STATES)
def test_the_headline_counts_every_state(state: TrialState) -> None:
    assert WORDS[state] in headline(Summary("digits", 9, {state: 3}, None, None))


def test_the_whole_line() -> None:
    counts: dict[TrialState, int] = {
        "finished": 5, "running": 2, "proposed": 9, "stopped": 1, "infeasible": 3, "failed": 4
    }  # fmt: skip
    assert headline(Summary("digits", 24, counts, 7500.0, 12)) == (
        "digits: 5 of 24 trials finished, 2 running, 9 waiting, 1 stopped early, 3 infeasible, 4 failed, "
        "about 2 h 05 min left, 12 points on the front"
    )
    assert headline(Summary("digits", 24, {}, None, None)) == "digits: 0 of 24 trials finished"


@pytest.mark.parametrize("state", STATES)
def test_the_headline_of_a_run_counts_every_state(state: TrialState) -> None:
    status = Status("digits", 9, {state: 3}, launch="somebody")
    assert WORDS[state].replace("3 waiting", "9 waiting") in headline(status.summary)
    assert status.settled == (3 if state in SETTLED else 0)


def test_without_a_launch_nothing_runs_and_no_time_is_left() -> None:
    line = headline(Status("digits", 9, {"running": 2}, seconds_left=56.0).summary)
    assert line == "digits: 0 of 9 trials finished, 2 interrupted, 7 waiting"


def test_trained_trials_whose_ladder_has_grown_are_told_from_untrained_ones() -> None:
    monitor = Monitor(name="digits", total=9, extended={0, 1, 2})
    assert "0 of 9 trials finished, 3 trained and waiting for new rungs" in launch_headline(monitor)
    monitor.finished(1)
    assert "1 of 9 trials finished, 2 trained and waiting for new rungs" in launch_headline(monitor)


def monitor_of(state: TrialState) -> Monitor:
    """Return the monitor of a launch with three trials in a state, of nine."""
    monitor = Monitor(name="digits", total=9)
    for index in range(3):
        if state == "running":
            monitor.running[index] = Running(index, epochs=2, phase="train")
        elif state == "failed":
            monitor.failed(LedgerEntry(index=index, key=str(index), seed=0, config={}, state="failed"))
        else:
            {"finished": monitor.finished, "stopped": monitor.stopped, "infeasible": monitor.infeasible}[
                state
            ](index)
    return monitor


@pytest.mark.parametrize("state", [state for state in STATES if state != "proposed"])
def test_the_headline_of_a_launch_counts_every_state_of_a_trial_that_has_started(state: TrialState) -> None:
    monitor = monitor_of(state)
    assert WORDS[state] in launch_headline(monitor)
    assert monitor.settled == (3 if state in SETTLED else 0)


def test_the_headline_of_a_launch_says_that_nothing_runs() -> None:
    assert launch_headline(Monitor(name="digits", total=9)) == "digits: 0 of 9 trials finished, 0 running"
