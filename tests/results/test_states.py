"""Every state is handled wherever the package lists states; a new state fails here until it is."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pandas as pd
import pytest

from results import Run, RunDirectory, write_report
from results.schema import TRIALS
from results.states import MEANINGS, SETTLED, STATES, LedgerState, TrialState, state_of
from tests.results.trial_states import EPOCHS, REASONS, write_every_state

DOCUMENT = Path(__file__).parents[2] / "docs" / "schema.md"

every_state = pytest.mark.parametrize("state", STATES)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    directory = RunDirectory(tmp_path_factory.mktemp("run"))
    write_every_state(directory)
    return Run([directory])


@pytest.fixture(scope="module")
def trials(run: Run) -> pd.DataFrame:
    return run.trials().set_index("trial_index")


@every_state
def test_every_state_has_a_meaning_in_the_schema_and_its_document(state: TrialState) -> None:
    meaning = f"`{state}`: {MEANINGS[state]}"
    assert meaning in TRIALS.field("state").metadata[b"description"].decode()
    assert meaning in DOCUMENT.read_text()


@every_state
def test_a_state_is_in_the_ledger_or_follows_from_the_files(state: TrialState) -> None:
    assert (state in get_args(LedgerState)) != (state in ("running", "finished"))
    assert (state in SETTLED) != (state in ("proposed", "running"))


def test_the_state_follows_from_the_ledger_and_the_files() -> None:
    def derived(recorded: LedgerState, files: str) -> TrialState:
        usable = files == "usable points"
        points = usable or files == "points"
        return state_of(recorded, progress=points or files == "progress", points=points, usable=usable)

    table = {
        "nothing": ("proposed", "stopped", "infeasible", "failed"),
        "progress": ("running", "stopped", "infeasible", "failed"),
        "points": ("failed", "stopped", "infeasible", "failed"),
        "usable points": ("finished", "finished", "finished", "finished"),
    }
    for files, expected in table.items():
        assert tuple(derived(recorded, files) for recorded in get_args(LedgerState)) == expected


@every_state
def test_the_trials_table_shows_every_state(state: TrialState, trials: pd.DataFrame) -> None:
    trial = trials.loc[STATES.index(state)]
    assert trial["state"] == state
    assert trial["epochs_done"] == EPOCHS[state]
    assert trial["epochs"] == 5
    assert (trial["reason"] == REASONS[state]) if REASONS[state] else pd.isna(trial["reason"])
    assert trial["attempts_failed"] == len(trial["failures"])


def test_the_trials_table_takes_progress_and_points(trials: pd.DataFrame) -> None:
    by_state = trials.set_index(trials["state"].astype(str))
    assert by_state["points"].to_dict() == {state: 2 * (state == "finished") for state in STATES}
    assert by_state["phase"].dropna().to_dict() == {
        "running": "train", "finished": "train", "stopped": "search", "infeasible": "search"
    }  # fmt: skip
    assert by_state["elapsed_s"].to_dict() == {
        "proposed": 0, "running": 6, "finished": 3, "stopped": 2, "infeasible": 4, "failed": 0
    }  # fmt: skip


@pytest.fixture(scope="module")
def report(run: Run, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(run, path)
    return path.read_text()


@every_state
def test_the_report_counts_the_trials_of_every_state(state: TrialState, report: str) -> None:
    assert (f"1 of {len(STATES)} so far" if state == "finished" else f"1 {state}") in report
