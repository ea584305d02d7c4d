"""Whoever writes inside a fence changes nothing once the fence is gone: on a disk not even in the same instant."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from results import LostLeaseError, RunDirectory
from results.storage.backends.fence import CHECK_EVERY_S, Fence, RecentCheck
from results.storage.backends.storage import FileVersion, Storage
from results.storage.parquet_files import parquet
from tests.results.rows import epoch_rows, key_of, point_rows

FENCE = Fence(3, "abc")
LATER = Fence(4, "def")


@pytest.fixture
def inside(directory: RunDirectory) -> RunDirectory:
    """Return a directory inside an open fence."""
    return directory.open_fence(FENCE)


CHANGES: dict[str, Callable[[Storage], None]] = {
    "write": lambda storage: storage.write("ledger/file", b"new"),
    "write below": lambda storage: storage.write("checkpoints/key/file", b"new"),
    "move": lambda storage: storage.move("ledger/file", "quarantine/file"),
    "remove": lambda storage: storage.remove("ledger/file"),
    "remove folder": lambda storage: storage.remove_folder("ledger"),
    "make folder": lambda storage: storage.make_folder("more"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_nothing_changes_without_the_fence(
    directory: RunDirectory, inside: RunDirectory, change: str
) -> None:
    inside.storage.write("ledger/file", b"old")
    assert directory.fences() == {FENCE.path}
    directory.close_fence(FENCE.path)
    assert directory.fences() == set()
    late = pickle.loads(pickle.dumps(inside)).retrying(sleep=never)  # noqa: S301
    with pytest.raises(LostLeaseError, match="must hold the lease of a run to change it"):
        CHANGES[change](late.storage)
    assert directory.storage.read("ledger/file") == b"old"
    assert [file.name for file in directory.storage.list("ledger")] == ["file"]
    assert directory.storage.folders("") & {"more", "quarantine", "writers"} <= {"writers"}
    assert directory.storage.folders("checkpoints") == set()


def test_every_record_can_be_written_inside_the_fence(directory: RunDirectory, inside: RunDirectory) -> None:
    inside.write_points(key_of(0), point_rows(0))
    inside.write_progress(key_of(0), epoch_rows(0))
    inside.write_network(key_of(0), b"network")
    inside.write_checkpoint(key_of(0), 1, b"state")
    inside.storage.write(f"points/{key_of(1)}.parquet", b"half a file")
    assert inside.quarantine_broken()
    inside.delete_checkpoints(key_of(0))
    inside.compact()
    directory.close_fence(FENCE.path)
    assert directory.read_points().num_rows == 2
    assert list(directory.read_checkpoints(key_of(0))) == []


@pytest.mark.parametrize("late", ["os.replace", "os.fsync"])
def test_a_writer_that_sleeps_just_before_its_last_step_does_not_take_it(
    local: RunDirectory, monkeypatch: pytest.MonkeyPatch, late: str
) -> None:
    local.open_fence(FENCE)
    local.write_front(local.read_points())
    before = local.storage.read("front.parquet")
    own = getattr(os, late.partition(".")[2])

    def sleep_first(*arguments: object) -> None:
        monkeypatch.undo()
        local.close_fence(FENCE.path)
        own(*arguments)

    monkeypatch.setattr(late, sleep_first)
    with pytest.raises(LostLeaseError):
        local.within(FENCE).storage.write("front.parquet", b"late")
    assert local.storage.read("front.parquet") == before
    assert local.storage.list("", temporary=True) == []


def test_a_directory_that_is_removed_is_not_made_anew(local: RunDirectory) -> None:
    local.open_fence(FENCE)
    inside = local.within(FENCE)
    shutil.rmtree(Path(local.uri) / "progress")  # as when the removal has come half-way
    for change in (
        lambda: inside.write_progress(key_of(0), epoch_rows(0)),
        lambda: shutil.rmtree(local.uri),
        lambda: inside.write_points(key_of(0), point_rows(0)),
        lambda: inside.write_checkpoint(key_of(0), 1, b"state"),
    ):
        try:
            change()
        except LostLeaseError:
            continue
        assert not Path(local.uri).exists()
    assert not Path(local.uri).exists()


def test_a_folder_on_another_disk_is_written_to(local: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    local.open_fence(FENCE)
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == Path(local.uri).stat().st_dev:
        pytest.skip("this machine has one disk")
    elsewhere = other / f"shrinksweep-test-{os.getpid()}"
    elsewhere.mkdir()
    try:
        (Path(local.uri) / "networks").rmdir()
        (Path(local.uri) / "networks").symlink_to(elsewhere)
        local.within(FENCE).write_network(key_of(0), b"network")
        assert local.read_network(key_of(0)) == b"network"
        local.close_fence(FENCE.path)
        with pytest.raises(LostLeaseError):
            local.within(FENCE).write_network(key_of(0), b"late")
        assert local.read_network(key_of(0)) == b"network"
    finally:
        shutil.rmtree(elsewhere)


def test_an_object_store_is_asked_at_most_once_a_second_and_after_every_suspension() -> None:
    now, answers, asked = [0.0], [True], list[float]()

    def look() -> bool:
        asked.append(now[0])
        return answers[0]

    check = RecentCheck(clock=lambda: now[0])
    for moment in (0.0, 0.5, CHECK_EVERY_S + 0.1, 66.0):
        now[0] = moment
        assert check.exists(look)
    assert asked == [0.0, CHECK_EVERY_S + 0.1, 66.0]
    answers[0] = False
    now[0] = 70.0
    assert not check.exists(look)
    assert not check.exists(look)
    assert len(asked) == 5


# --- attempts at a trial ---


@pytest.mark.parametrize("change", CHANGES)
def test_an_earlier_attempt_changes_nothing_and_the_next_one_does(inside: RunDirectory, change: str) -> None:
    for attempt in (1, 2):
        inside.open_attempt(0, attempt)
    earlier, later = inside.of_attempt(0, 1), inside.of_attempt(0, 2)
    earlier.storage.write("ledger/file", b"old")
    inside.close_attempt(0, 1)
    with pytest.raises(LostLeaseError):
        CHANGES[change](pickle.loads(pickle.dumps(earlier)).storage)  # noqa: S301
    assert inside.storage.read("ledger/file") == b"old"
    CHANGES[change](later.storage)


def test_an_attempt_ends_with_its_launch_and_none_begins_afterwards(
    directory: RunDirectory, inside: RunDirectory
) -> None:
    inside.open_attempt(0, 1)
    directory.close_fence(FENCE.path)
    for late in (
        lambda: inside.of_attempt(0, 1).storage.write("ledger/file", b"late"),
        lambda: pickle.loads(pickle.dumps(inside)).open_attempt(0, 2),  # noqa: S301
        lambda: inside.of_attempt(0, 2).storage.write("ledger/file", b"late"),
    ):
        with pytest.raises(LostLeaseError):
            late()
    assert directory.fences() == set()
    assert directory.storage.list("ledger") == []


def test_attempts_do_not_each_read_the_manifest_of_the_compacted_points(
    inside: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside.write_points(key_of(0), point_rows(0))
    inside.compact()
    reads: list[str] = []
    read = parquet.read_manifest

    def noting(storage: Storage, path: str) -> dict[str, FileVersion]:
        reads.append(path)
        return read(storage, path)

    monkeypatch.setattr(parquet, "read_manifest", noting)
    for attempt in range(3):
        assert not inside.of_attempt(1, attempt).has_points(key_of(1))
    assert reads == ["points.parquet"]


# --- files of a later launch ---


def test_checkpoints_of_a_later_launch_win_and_are_never_displaced(directory: RunDirectory) -> None:
    for fence in (FENCE, LATER):
        directory.open_fence(fence)
    earlier, later = directory.within(FENCE), directory.within(LATER)
    for step in (1, 2, 3):
        earlier.write_checkpoint(key_of(0), step, b"earlier %d" % step)
    later.write_checkpoint(key_of(0), 3, b"later 3")
    directory.storage.write(f"checkpoints/{key_of(0)}/00000009-00000003.ckpt", b"a put that arrived late")
    assert next(directory.read_checkpoints(key_of(0))) == b"later 3"
    with pytest.raises(LostLeaseError):
        earlier.write_checkpoint(key_of(0), 1, b"earlier 1")
    assert next(directory.read_checkpoints(key_of(0))) == b"later 3"
    later.write_checkpoint(key_of(0), 4, b"later 4")
    assert list(directory.read_checkpoints(key_of(0))) == [b"later 4", b"later 3"]


def test_checkpoints_without_a_token_are_resumed_from_and_then_replaced(directory: RunDirectory) -> None:
    directory.write_checkpoint(key_of(0), 7, b"old version")
    directory.open_fence(FENCE)
    assert list(directory.read_checkpoints(key_of(0))) == [b"old version"]
    for step in (8, 9):
        directory.within(FENCE).write_checkpoint(key_of(0), step, b"step %d" % step)
    assert list(directory.read_checkpoints(key_of(0))) == [b"step 9", b"step 8"]


def test_progress_and_points_of_a_later_launch_are_not_replaced(directory: RunDirectory) -> None:
    for fence in (FENCE, LATER):
        directory.open_fence(fence)
    directory.within(LATER).write_progress(key_of(0), epoch_rows(0, 3))
    directory.within(LATER).write_points(key_of(0), point_rows(0))
    for late in (
        lambda: directory.within(FENCE).write_progress(key_of(0), epoch_rows(0, 1)),
        lambda: directory.within(FENCE).write_points(key_of(0), point_rows(0, rungs=1)),
    ):
        with pytest.raises(LostLeaseError):
            late()
    assert directory.read_progress()["step"].to_pylist() == [1, 2, 3]
    assert directory.read_points().num_rows == 2


def never(seconds: float) -> None:
    raise AssertionError("this must not be retried")
