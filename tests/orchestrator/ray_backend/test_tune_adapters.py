"""What Tune calls, without Tune: every attempt at a trial has a fence of its own, which ends with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.conductor.capacity import Capacity
from orchestrator.conductor.conductor import Conductor
from orchestrator.conductor.monitor import Monitor
from orchestrator.ray_backend.tune_adapters import LedgerSearch
from results import LostLeaseError, RunDirectory
from results.storage.backends.fence import Fence
from results.storage.ledger import Failure
from tests.orchestrator.conftest import small_sweep
from tests.results.rows import epoch_rows


@pytest.mark.filterwarnings("ignore")
def test_a_process_of_an_attempt_that_has_failed_writes_nothing_beside_the_next_attempt(
    tmp_path: Path,
) -> None:
    launch = RunDirectory(tmp_path, create=True).open_fence(Fence(1, "abc"))
    search = LedgerSearch(Conductor(small_sweep(), launch, Monitor()), Capacity(lambda: 1))
    first = search.suggest("first")
    assert isinstance(first, dict)
    stalled = launch.of_attempt(first["index"], first["number"])
    key = launch.read_ledger()[0].key
    stalled.write_progress(key, epoch_rows(0, 2, trial_key=key))
    search.failures["first"] = Failure(kind="Stalled", message="no progress for 900 s")
    search.on_trial_complete("first", error=True)
    second = search.suggest("second")
    assert isinstance(second, dict)
    assert second["index"] == first["index"]
    launch.of_attempt(second["index"], second["number"]).write_progress(key, epoch_rows(0, 3, trial_key=key))
    with pytest.raises(LostLeaseError):  # its process was continued
        stalled.write_progress(key, epoch_rows(0, 2, trial_key=key))
    assert launch.read_progress()["step"].to_pylist() == [1, 2, 3]
    search.on_trial_complete("second", {"outcome": "infeasible", "reason": "too large"})
    assert launch.storage.folders(Fence(1, "abc").path) == set()
