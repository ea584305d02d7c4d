"""What the fault benchmark counts, without faults: a file that goes back, a decision that changes, a secret on disk."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path

from benchmarks.disk_search import files_with
from benchmarks.disturbances import EVENTS, course
from benchmarks.faults import (
    ALL_EVENTS,
    ALL_EVENTS_ON_S3,
    COMPARED_AFTER,
    EPOCHS_A_TRIAL,
    QUICK_EVENTS,
    Seen,
    sweep,
)
from results import LedgerEntry, RunDirectory
from results.storage.backends.fence import Fence
from tests.results.rows import epoch_rows, key_of


def test_every_kind_of_event_happens_before_one_happens_again() -> None:
    assert Counter(course(QUICK_EVENTS)) == dict.fromkeys(EVENTS, 1)
    long = course(ALL_EVENTS)
    assert len(long) == ALL_EVENTS
    assert min(Counter(long).values()) >= 6
    assert {"launch stopped beyond its lease", "disk faulty"} < {*course(ALL_EVENTS_ON_S3, on_s3=True)}


def test_the_sweep_compares_its_trials_once() -> None:
    assert sweep(8).budget == 24
    assert COMPARED_AFTER < EPOCHS_A_TRIAL < 3 * COMPARED_AFTER


def test_files_that_were_changed_and_hold_a_text_are_found(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("hush")
    os.utime(tmp_path / "old")
    began = (tmp_path / "old").stat().st_ctime + 0.001
    time.sleep(0.01)
    (tmp_path / "deep/er").mkdir(parents=True)
    (tmp_path / "deep/er/log").write_bytes(b"\0 key=hush;")
    (tmp_path / "harmless").write_text("hus")
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    assert files_with(["hush"], tmp_path, began) == [tmp_path / "deep/er/log"]


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
