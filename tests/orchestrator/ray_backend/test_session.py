"""Starting Ray, and reaching it: every fault of the site is one line, in seconds."""

from __future__ import annotations

import os
import pickle
import socket
import stat
import threading
import time
from pathlib import Path

import pytest

from orchestrator.errors import LaunchError
from orchestrator.ray_backend import cluster
from orchestrator.ray_backend.cluster import ray_session


@pytest.fixture(autouse=True)
def unconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the Ray to which earlier tests have connected this process."""
    import ray

    monkeypatch.setattr(ray, "is_initialized", lambda: False)


def test_what_ray_opens_to_everybody_is_in_a_folder_that_only_its_user_may_enter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ray._common.utils import try_to_create_directory

    monkeypatch.setattr(cluster, "MAX_SOCKET_PATH", 1000)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    for _ in range(2):
        folder = cluster._temporary_folder()
        try_to_create_directory(str(folder))  # as Ray does, which makes it writable for everybody
        assert folder.parent == tmp_path / f"ray-{os.getuid()}"
        assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700


def test_a_long_temporary_folder_is_replaced_by_a_short_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "RAY_TMPDIR", str(tmp_path / "job/1355700/tmp.t0016/scratch/someone/project_directory")
    )
    folder = cluster._temporary_folder()
    assert len(f"{folder}{cluster.SESSION_PATH}") <= cluster.MAX_SOCKET_PATH
    assert folder.parent.is_dir()


def test_without_a_short_temporary_folder_the_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "MAX_SOCKET_PATH", 70)
    monkeypatch.setenv("RAY_TMPDIR", "/somewhere")
    with pytest.raises(LaunchError, match="TMPDIR is /somewhere: set RAY_TMPDIR"), ray_session(None):
        pass


@pytest.mark.parametrize("address", ["nonsense", "host:port", ":6379", "10.0.0.1:99999"])
def test_an_address_of_another_form_is_refused(address: str) -> None:
    with (
        pytest.raises(LaunchError, match="the address must be auto or host:port, but got"),
        ray_session(address),
    ):
        pass


def test_nobody_at_an_address_is_one_line_in_seconds() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"  # bound, but nobody listens
        start = time.monotonic()
        refused = f"Ray must be reachable at {address}, but Connection refused"
        with pytest.raises(LaunchError, match=refused), ray_session(address):
            pass
    assert time.monotonic() - start < 15


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
def test_another_program_at_an_address_is_one_line_in_seconds(answer: bytes) -> None:
    def reply() -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=reply, daemon=True).start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(LaunchError, match="listens there is another program"), ray_session(address):
            pass


def test_silence_at_an_address_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "REACHABLE_WITHIN_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(LaunchError, match="but timed out"), ray_session(address):
            pass


@pytest.mark.parametrize("error", [OSError(36, "File name too long"), AssertionError("no"), KeyError("HOME")])
def test_whatever_ray_raises_is_one_line(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    def fail(**options: object) -> None:
        raise error

    monkeypatch.setattr(ray, "init", fail)
    with pytest.raises(LaunchError, match="Ray must start on this machine, but") as caught, ray_session(None):
        pass
    assert "\n" not in str(caught.value)


def test_a_request_to_end_while_ray_starts_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    def end(**options: object) -> None:
        raise SystemExit(15)

    said: list[str] = []
    monkeypatch.setattr(ray, "init", end)
    with pytest.raises(KeyboardInterrupt), ray_session(None, said.append):
        pass
    assert said == ["SIGTERM: stopping"]


def test_tune_saves_nothing_of_the_hooks_that_know_the_run_directory() -> None:
    from orchestrator.ray_backend.tune_adapters import Halt, Housekeeping, LedgerScheduler, LedgerSearch

    for kind in (Halt, Housekeeping, LedgerScheduler, LedgerSearch):
        hook = kind.__new__(kind)
        vars(hook)["conductor"] = "s3://AKIA:hush@bucket/run"
        assert b"hush" not in pickle.dumps(hook)
