"""Storage that fails for some time: a full disk, a server that restarts, a lost connection."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from results import RunDirectory
from results.errors import StorageError
from results.storage.backends.retrying_storage import RetryingStorage
from results.storage.backends.storage import LocalStorage
from tests.results.rows import key_of, point_rows


class Failing(LocalStorage):
    """A local disk whose next operations raise ``failures``, one each."""

    failures: Iterator[OSError] = iter(())

    def write(self, path: str, *parts: bytes) -> None:
        for error in self.failures:
            raise error
        super().write(path, *parts)

    def move(self, path: str, target: str) -> None:
        super().move(path, target)
        for error in self.failures:  # the file was moved, but the answer is lost
            raise error


def failing(folder: Path, failures: int) -> Failing:
    storage = Failing(folder)
    error = OSError(28, "No space left on device")
    object.__setattr__(storage, "failures", iter([error] * failures))
    return storage


def test_the_pauses_between_attempts_double(tmp_path: Path) -> None:
    waits: list[float] = []
    RetryingStorage(failing(tmp_path, 3), sleep=waits.append).write("file", b"content")
    assert waits == [0.2, 0.4, 0.8]
    assert (tmp_path / "file").read_bytes() == b"content"


def test_a_storage_that_keeps_failing_raises_its_error(tmp_path: Path) -> None:
    waits: list[float] = []
    with pytest.raises(OSError, match="No space left"):
        RetryingStorage(failing(tmp_path, 10_000), sleep=waits.append).write("file", b"content")
    assert 300 <= sum(waits) < 400
    assert list(tmp_path.iterdir()) == []


def test_missing_files_are_not_retried(tmp_path: Path) -> None:
    storage = RetryingStorage(LocalStorage(tmp_path), sleep=never)
    with pytest.raises(FileNotFoundError):
        storage.read("file")
    with pytest.raises(FileNotFoundError):
        storage.move("file", "other")


def test_a_move_whose_answer_was_lost_succeeds(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    waits: list[float] = []
    RetryingStorage(failing(tmp_path, 1), sleep=waits.append).move("file", "quarantine/file")
    assert len(waits) == 1
    assert (tmp_path / "quarantine" / "file").read_bytes() == b"content"


def test_a_run_directory_on_a_disk_that_is_full_for_some_time(tmp_path: Path) -> None:
    waits: list[float] = []
    directory = RunDirectory(failing(tmp_path, 2)).retrying(sleep=waits.append)
    directory.write_points(key_of(0), point_rows(0))
    assert len(waits) == 2
    assert directory.finished_keys() == {key_of(0)}


def test_a_failing_storage_does_not_make_a_finished_trial_unfinished(tmp_path: Path) -> None:
    RunDirectory(tmp_path).write_points(key_of(0), point_rows(0))

    class Unreadable(LocalStorage):
        def ends(self, path: str, count: int) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        RunDirectory(Unreadable(tmp_path)).finished_keys()


def never(seconds: float) -> None:
    raise AssertionError("this must not be retried")


def test_who_waits_is_told_and_in_the_end_the_storage_is_to_blame(tmp_path: Path) -> None:
    said: list[str] = []
    directory = RunDirectory(failing(tmp_path, 99)).retrying(sleep=lambda s: None, notify=said.append)
    with pytest.raises(StorageError, match=r"sweep\.yaml: .*No space left") as caught:
        directory.write_sweep({"name": "test"}, {})
    assert set(said) == {f"storage fails, trying again: {caught.value}"}
    assert isinstance(pickle.loads(pickle.dumps(caught.value)), OSError)  # noqa: S301
