"""What the fault benchmark counts, without faults: a file that goes back, a decision that changes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from benchmarks.disturbances import EVENTS, course
from benchmarks.faults import COMPARED_AFTER, EPOCHS_A_TRIAL, QUICK_EVENTS, Seen, sweep
from results import LedgerEntry, RunDirectory
from results.storage.backends.fence import Fence
from tests.results.rows import epoch_rows, key_of


def test_every_kind_of_event_happens_once_before_one_happens_again() -> None:
    assert len(EVENTS) == QUICK_EVENTS
    assert Counter(course(QUICK_EVENTS)) == dict.fromkeys(EVENTS, 1)
    assert Counter(course(20)).total() == 20


def test_the_sweep_is_longer_than_its_events_and_compares_trials_once() -> None:
    long = sweep(200)
    assert long.budget >= 6 * 200
    assert COMPARED_AFTER < EPOCHS_A_TRIAL < 3 * COMPARED_AFTER


def test_a_file_of_an_earlier_launch_and_a_changed_decision_are_counted(tmp_path: Path) -> None:
    directory, seen = RunDirectory(tmp_path, create=True), Seen()
    for token, expected in ((7, 0), (8, 0), (7, 1)):
        fence = Fence(token, "x")
        directory.open_fence(fence)
        (tmp_path / f"progress/{key_of(0)}.parquet").unlink(missing_ok=True)
        directory.within(fence).write_progress(key_of(0), epoch_rows(0))
        seen.look(directory)
        assert seen.two_writers == expected
    decision = {"epoch": 8, "arrival": 0, "values": [0.5], "continues": True}
    for continues, expected in ((True, 0), (True, 0), (False, 1)):
        extra = {"decisions": [decision | {"continues": continues}]}
        directory.write_entry(LedgerEntry(index=0, key=key_of(0), seed=0, config={}, extra=extra))
        seen.look(directory)
        assert seen.decisions_changed == expected
