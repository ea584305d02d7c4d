"""One contract for every storage: whole files, replaced atomically."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow.fs as pafs
import pytest

from results import ResultsError, RunDirectory
from results.storage.backends.remote_storage import open_storage
from results.storage.backends.storage import LocalStorage, Storage
from tests.results.stores import ObjectStore, locations


@pytest.fixture(params=["local", "remote", "objects"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    filesystem, path = locations(tmp_path)[request.param]
    return open_storage(path, filesystem)


def test_read_returns_what_was_written(storage: Storage) -> None:
    storage.write("a/b.bin", b"one", b"two")
    assert storage.read("a/b.bin") == b"onetwo"
    assert storage.ends("a/b.bin", 2) == b"onwo"
    assert storage.exists("a/b.bin")
    assert [(file.name, file.size) for file in storage.list("a")] == [("b.bin", 6)]
    assert storage.list("a")[0].modified_ns > 10**18


def test_writing_again_replaces_the_file(storage: Storage) -> None:
    storage.write("a/b", b"old and long")
    storage.write("a/b", b"new")
    assert storage.read("a/b") == b"new"
    assert storage.list("a", temporary=True) == []


def test_missing_files_are_not_found(storage: Storage) -> None:
    assert storage.list("nothing") == []
    assert not storage.exists("nothing")
    storage.remove("nothing/at/all")
    storage.remove_folder("nothing")
    for read in (storage.read, lambda path: storage.ends(path, 4)):
        with pytest.raises(FileNotFoundError):
            read("nothing")


def test_moving_and_removing_files(storage: Storage) -> None:
    storage.write("a/x", b"1")
    storage.write("a/y", b"2")
    storage.move("a/x", "quarantine/deep/x")
    assert storage.read("quarantine/deep/x") == b"1"
    assert [file.name for file in storage.list("a")] == ["y"]
    storage.remove("a/y")
    assert storage.list("a") == []
    storage.remove_folder("quarantine/deep")
    assert not storage.exists("quarantine/deep/x")


def test_temporary_and_hidden_files_are_not_listed(tmp_path: Path) -> None:
    storage = open_storage(tmp_path)
    for name in (".tmp-123", ".nfs0001", ".DS_Store", "a"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "folder").mkdir()
    assert [file.name for file in storage.list("")] == ["a"]
    assert [file.name for file in storage.list("", temporary=True)] == [".tmp-123"]


def test_a_kill_between_writing_and_replacing_is_invisible(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    script = f"""
import os
from results.storage.backends.remote_storage import open_storage
os.replace = lambda *_: os._exit(9)  # the process is gone before the file is replaced
open_storage({str(tmp_path)!r}).write("a", b"new")
"""
    assert subprocess.run([sys.executable, "-c", script]).returncode == 9
    storage = open_storage(tmp_path)
    assert storage.read("a") == b"old"
    assert [file.name for file in storage.list("")] == ["a"]
    assert len(storage.list("", temporary=True)) == 1


def test_a_failed_write_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = open_storage(tmp_path)
    storage.write("a", b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        storage.write("a", b"new")
    assert storage.read("a") == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_failed_put_leaves_the_old_object() -> None:
    store = ObjectStore()
    storage = open_storage("bucket/run", pafs.PyFileSystem(store))
    storage.write("a", b"old")
    store.fail_after = 0
    with pytest.raises(OSError, match="connection lost"):
        storage.write("a", b"new")
    assert storage.read("a") == b"old"


def test_an_object_store_is_written_with_one_put_and_no_move() -> None:
    store = ObjectStore()
    open_storage("bucket/run", pafs.PyFileSystem(store)).write("deep/a", b"1")
    assert list(store.objects) == ["bucket/run/deep/a"]
    assert store.moves == 0


def test_readers_never_see_a_partial_file(tmp_path: Path) -> None:
    storage = open_storage(tmp_path)
    contents = [bytes([digit]) * 200_000 for digit in range(8)]
    storage.write("a", contents[0])
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            for content in contents:
                storage.write("a", content)

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        assert all(storage.read("a") in contents for _ in range(200))
    finally:
        stop.set()
        for writer in writers:
            writer.join()


def test_a_file_that_another_host_replaced_during_the_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = open_storage(tmp_path)
    storage.write("a", b"new")
    read, stale = Path.read_bytes, [OSError(errno.ESTALE, "Stale file handle")]

    def read_bytes(path: Path) -> bytes:
        if stale:
            raise stale.pop()
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    assert storage.read("a") == b"new"


def test_a_file_uri_is_a_local_path(tmp_path: Path) -> None:
    assert open_storage(f"file://{tmp_path}/run") == LocalStorage(tmp_path / "run")


def test_an_unknown_uri_is_refused() -> None:
    with pytest.raises(ResultsError, match="nonsense://"):
        RunDirectory("nonsense://bucket/run")
