"""A run directory on a real S3 server that is busy, loses answers or truncates them."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator

import pytest

from orchestrator.conductor.lease import HeldError, holding
from results import LostLeaseError, ResultsError, RunDirectory, open_run, open_runs
from results.storage.backends.credentials import without_credentials
from results.storage.backends.remote_storage import RemoteStorage
from results.storage.backends.retrying_storage import RetryingStorage
from tests.results.rows import key_of, point_rows
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
