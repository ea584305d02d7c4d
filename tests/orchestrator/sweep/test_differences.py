"""A run directory without its sweep.yaml is resumed only by a sweep that its trials are of."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator import Sweep, SweepError
from orchestrator.conductor.transitions import new_entry
from orchestrator.sweep.differences import difference_faults, refuse_different
from orchestrator.sweep.dimensions import Assignment
from results import RunDirectory
from tests.orchestrator.conftest import small_sweep

SWEEP = small_sweep(
    sweep={
        "space.splitting": [1, 2, 4],
        "feature_maps.regularization": {"low": 1e-6, "high": 1e-2},
        "search.epochs, train.epochs": [[1, 2], [2, 1]],
    }, strategy={"searcher": "random", "trials": 4},
)  # fmt: skip
ASSIGNMENT: Assignment = {
    "space.splitting": 2, "feature_maps.regularization": 0.001, "search.epochs, train.epochs": (2, 1)
}  # fmt: skip


@pytest.fixture
def without_sweep(tmp_path: Path) -> RunDirectory:
    """Return a run of one trial whose ``sweep.yaml`` is gone."""
    directory = RunDirectory(tmp_path / "run", create=True)
    directory.write_entry(new_entry(0, SWEEP.config(ASSIGNMENT)))
    return directory


def changed(**fields: object) -> Sweep:
    return Sweep.from_mapping(SWEEP.model_dump(mode="json") | fields)


@pytest.mark.parametrize("content", [None, b"", b"name: [", b"name: digits\n"])
def test_its_own_sweep_resumes_a_run_whose_sweep_file_is_gone_or_broken(
    without_sweep: RunDirectory, content: bytes | None
) -> None:
    if content is not None:
        without_sweep.storage.write("sweep.yaml", content)
    assert difference_faults(SWEEP, without_sweep) == []
    assert difference_faults(changed(strategy={"searcher": "random", "trials": 9}), without_sweep) == []


@pytest.mark.parametrize(
    "other",
    [
        changed(trial={"search": {"epochs": 1}, "train": {"epochs": 2, "learning_rate": 0.5}}),
        changed(sweep={**SWEEP.sweep, "space.splitting": [1, 4]}),
        changed(sweep={**SWEEP.sweep, "feature_maps.regularization": {"low": 0.01, "high": 0.1}}),
        changed(sweep={**SWEEP.sweep, "search.epochs, train.epochs": [[1, 2], [2, 2]]}),
        changed(sweep={"train.learning_rate": [0.1, 0.2]}),
        changed(seed=1, trial={"seed": 1}),
    ],
    ids=[
        "another field",
        "another value",
        "another range",
        "another pair",
        "other dimensions",
        "another seed",
    ],
)
def test_another_sweep_does_not_adopt_its_trials(without_sweep: RunDirectory, other: Sweep) -> None:
    with pytest.raises(
        SweepError, match=r"sweep\.yaml.* is missing or broken, and trial 0 is not one of this"
    ):
        refuse_different(other, without_sweep)


def test_a_trial_of_no_known_configuration_is_a_stranger(without_sweep: RunDirectory) -> None:
    entry = without_sweep.read_ledger()[0]
    without_sweep.write_entry(entry.model_copy(update={"config": {"space": "none"}}))
    assert len(difference_faults(SWEEP, without_sweep)) == 1
