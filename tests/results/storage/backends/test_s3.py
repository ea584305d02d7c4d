"""A run directory on a real S3 server that is busy, loses answers or truncates them."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.conductor.lease import HeldError, holding
from results import LostLeaseError, ResultsError, RunDirectory, open_run, open_runs
from results.storage.backends.credentials import without_credentials
from results.storage.backends.fence import Fence
from results.storage.backends.remote_storage import RemoteStorage
from results.storage.backends.retrying_storage import RetryingStorage
from tests.results.rows import epoch_rows, key_of, point_rows
from tests.results.s3 import PASSWORD, USER, S3Server, s3_server

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(scope="module")
def running() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture
def server(running: S3Server) -> Iterator[S3Server]:
    yield running
    running.fails = lambda method, count: "no"
    running.knows_conditions = True


@pytest.fixture
def directory(server: S3Server) -> RunDirectory:
    return RunDirectory(server.new_uri("runs/night"), create=True)


def test_a_run_on_s3_is_written_and_read(directory: RunDirectory, server: S3Server) -> None:
    assert not directory.exists()
    directory.write_sweep({"name": "night"}, {})
    for index in range(3):
        directory.write_points(key_of(index), point_rows(index))
    assert directory.finished_keys() == {key_of(index) for index in range(3)}
    assert directory.compact() == 3
    directory.write_points(key_of(3), point_rows(3))
    run = open_run(directory)
    assert run.sweep() == {"name": "night"}
    assert len(run.points()) == 8
    directory.write_checkpoint(key_of(0), 1, b"one")
    directory.write_checkpoint(key_of(0), 2, b"two")
    assert list(directory.read_checkpoints(key_of(0))) == [b"two", b"one"]
    directory.delete_checkpoints(key_of(0))
    assert list(directory.read_checkpoints(key_of(0))) == []


def test_runs_on_s3_are_found_by_their_uri(server: S3Server) -> None:
    uri = server.new_uri("runs/night-1")
    for index, path in enumerate((uri, uri.replace("night-1", "night-2"))):
        RunDirectory(path).write_points(key_of(index), point_rows(index))
    assert open_runs([uri, uri.replace("night-1", "night-2")]).points()["run"].nunique() == 2


def test_a_broken_file_on_s3_is_quarantined(directory: RunDirectory) -> None:
    directory.write_points(key_of(0), point_rows(0))
    directory.storage.write(f"points/{key_of(1)}.parquet", b"PAR1 and no more")
    assert directory.finished_keys() == {key_of(0)}
    assert [problem.path for problem in directory.quarantine_broken()] == [f"points/{key_of(1)}.parquet"]
    assert [file.name for file in directory.storage.list("points")] == [f"{key_of(0)}.parquet"]
    assert len(directory.storage.list("quarantine/points")) == 1


def test_requests_to_a_busy_server_are_retried(directory: RunDirectory, server: S3Server) -> None:
    waits: list[float] = []
    server.fails = lambda method, count: "no" if waits else "busy"  # longer than the client itself retries
    retrying = directory.retrying(sleep=waits.append)
    retrying.write_points(key_of(0), point_rows(0))
    assert waits == [0.2]
    assert directory.finished_keys() == {key_of(0)}


@pytest.mark.parametrize("how", ["busy", "lost", "cut"])
def test_occasional_failures_neither_lose_nor_duplicate_a_row(
    directory: RunDirectory, server: S3Server, how: str
) -> None:
    server.fails = lambda method, count: how if count % 3 == 0 and method in ("PUT", "GET") else "no"
    retrying = directory.retrying(sleep=lambda seconds: None)
    for index in range(4):
        retrying.write_points(key_of(index), point_rows(index))
        retrying.write_points(key_of(index), point_rows(index))
    assert retrying.finished_keys() == {key_of(index) for index in range(4)}
    table = retrying.read_points()
    server.fails = lambda method, count: "no"
    assert table.equals(RunDirectory(directory.storage).read_points())
    assert table["point"].to_pylist() == sorted(set(table["point"].to_pylist()))


def test_a_failed_upload_leaves_the_old_object(directory: RunDirectory, server: S3Server) -> None:
    directory.write_points(key_of(0), point_rows(0))
    server.fails = lambda method, count: "busy" if method in ("PUT", "POST") else "no"
    with pytest.raises(OSError, match="503"):
        directory.write_points(key_of(0), point_rows(0, rungs=3))
    server.fails = lambda method, count: "no"
    assert directory.read_points().num_rows == 2


def test_the_lease_holds_on_s3(directory: RunDirectory) -> None:
    with holding(directory, lambda text: None) as holder:
        holder.renew()
        with pytest.raises(HeldError, match="held by"), holding(directory, lambda text: None):
            pass
    lease = directory.read_lease()
    assert lease is not None
    assert lease.released
    assert directory.fences() == set()
    with pytest.raises(LostLeaseError):
        RunDirectory(directory.storage).within(holder.fence).storage.write("file", b"")


def test_credentials_are_used_and_never_shown(directory: RunDirectory) -> None:
    texts = [directory.uri, repr(directory), repr(directory.storage), repr(directory.retrying().storage)]
    asks: list[Callable[[], object]] = [
        lambda: directory.read_network("abc"),
        lambda: open_run(directory),
    ]
    for ask in asks:
        with pytest.raises(ResultsError) as error:
            ask()
        texts.append(str(error.value))
    assert all("bucket-" in text for text in texts)
    assert not any(USER in text or PASSWORD in text for text in texts)


def test_credentials_of_a_uri_that_cannot_be_opened_are_not_shown() -> None:
    with pytest.raises(ResultsError, match="no-such://bucket/runs") as error:
        RunDirectory(f"no-such://{USER}:{PASSWORD}@bucket/runs?session_token={PASSWORD}")
    assert PASSWORD not in str(error.value)
    assert without_credentials("runs/a@b:c") == "runs/a@b:c"
    assert without_credentials("file:///runs/night") == "file:///runs/night"


def test_a_directory_on_s3_can_be_pickled(directory: RunDirectory) -> None:
    directory.write_points(key_of(0), point_rows(0))
    copy = pickle.loads(pickle.dumps(directory.retrying()))  # noqa: S301
    assert copy.finished_keys() == {key_of(0)}
    assert isinstance(copy.storage, RetryingStorage)
    assert isinstance(copy.storage.inner, RemoteStorage)


def test_a_missing_bucket_is_named(server: S3Server) -> None:
    uri = server.new_uri("runs/night").replace("@bucket-", "@other-")
    with pytest.raises(OSError, match="bucket does not exist"):
        RunDirectory(uri).write_sweep({"name": "night"}, {})


# --- puts that arrive late ---

EARLIER, LATER = Fence(3, "abc"), Fence(4, "def")

WRITES: dict[str, Callable[[RunDirectory, int], None]] = {
    "progress": lambda directory, length: directory.write_progress(key_of(0), epoch_rows(0, length)),
    "points": lambda directory, length: directory.write_points(key_of(0), point_rows(0, rungs=length)),
    "checkpoint": lambda directory, length: directory.write_checkpoint(key_of(0), 9, b"%d" % length),
    "ledger": lambda directory, length: directory.storage.write("ledger/000000.json", b"%d" % length),
}


@pytest.mark.parametrize("what", WRITES)
@pytest.mark.parametrize("before", [False, True], ids=["a new file", "a file that was there"])
def test_a_put_that_arrives_after_a_takeover_replaces_nothing(
    directory: RunDirectory, server: S3Server, what: str, before: bool
) -> None:
    write = WRITES[what]
    earlier = directory.open_fence(EARLIER)
    if before:
        write(earlier, 1)
    with on_its_way(server, lambda: write(earlier, 2)) as failures:
        directory.close_fence(EARLIER.path)
        write(directory.open_fence(LATER), 3)
        stored = contents(directory)
    if what == "checkpoint":  # its name has the token: the late one lands beside the newer one
        assert next(directory.read_checkpoints(key_of(0))) == b"3"
        return
    assert [type(failure) for failure in failures] == [LostLeaseError]
    assert contents(directory) == stored


def test_a_put_of_an_earlier_attempt_does_not_replace_what_the_next_one_has_written(
    directory: RunDirectory, server: S3Server
) -> None:
    launch = directory.open_fence(LATER)
    earlier, later = (launch.open_fence(LATER.of_attempt(0, attempt)) for attempt in (7, 8))
    for write in WRITES.values():
        with on_its_way(server, lambda write=write: write(earlier, 2)) as failures:  # type: ignore[misc]
            write(later, 3)
            stored = contents(directory)
        assert [type(failure) for failure in failures] == [LostLeaseError]
        assert contents(directory) == stored
    WRITES["ledger"](launch, 4)  # the launch itself is no attempt at the trial
    WRITES["ledger"](launch.open_fence(LATER.of_attempt(1, 2)), 5)  # nor is an attempt at another


def test_a_lost_answer_to_a_conditional_put_is_no_loss(directory: RunDirectory, server: S3Server) -> None:
    inside = directory.open_fence(LATER)
    server.fails = lambda method, count: "lost" if method == "PUT" and count % 2 else "no"
    for length in (1, 2):
        inside.write_points(key_of(0), point_rows(0, rungs=length))
    inside.write_network(key_of(0), bytes(12_000_000))  # more than a part of a multipart upload
    assert directory.read_points().num_rows == 2
    assert len(directory.read_network(key_of(0))) == 12_000_000


def test_a_store_without_conditional_puts_is_written_to_and_told_of(
    directory: RunDirectory, server: S3Server
) -> None:
    said: list[str] = []
    with holding(directory, said.append) as holder:
        holder.directory.write_points(key_of(0), point_rows(0))
        assert holder.directory.storage.caveat is None
    assert said == []
    server.knows_conditions = False
    with holding(directory, said.append) as holder:
        holder.directory.write_points(key_of(0), point_rows(0))
    assert len(said) == 1
    assert said[0].startswith("note: this object store takes no conditional puts from here")


def test_conditional_puts_use_the_credentials_of_a_profile(
    server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = f"[default]\naws_access_key_id={USER}\naws_secret_access_key={PASSWORD}\n"
    (tmp_path / "credentials").write_text(profile)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    directory = RunDirectory(server.new_uri("runs/night").replace(f"{USER}:{PASSWORD}@", ""))
    inside = directory.open_fence(LATER)
    assert inside.storage.caveat is None
    inside.write_network(key_of(0), b"network")
    assert directory.read_network(key_of(0)) == b"network"


@contextmanager
def on_its_way(server: S3Server, write: Callable[[], None]) -> Iterator[list[Exception]]:
    """Begin a write, and let its put reach the server when the block has ended. Yield what the write has raised."""
    failures: list[Exception] = []
    sent, let_through = threading.Event(), threading.Event()

    def wait_for_the_first(method: str, count: int) -> str:
        if method == "PUT" and not sent.is_set():
            sent.set()
            assert let_through.wait(20)
        return "no"

    def run() -> None:
        try:
            write()
        except Exception as error:
            failures.append(error)

    server.fails = wait_for_the_first
    writing = threading.Thread(target=run)
    writing.start()
    try:
        assert sent.wait(20)
        yield failures
    finally:
        let_through.set()
        writing.join(20)


def contents(directory: RunDirectory) -> dict[str, bytes]:
    """Return all objects of the trials."""
    folders = ["ledger", "progress", "points", "networks", f"checkpoints/{key_of(0)}"]
    storage = directory.storage
    paths = [f"{folder}/{file.name}" for folder in folders for file in storage.list(folder)]
    return {path: storage.read(path) for path in paths}
