"""The Ray session of a launch: a running Ray that it joins, or one that it starts and ends."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from orchestrator.errors import LaunchError
from orchestrator.preflight.placement import Node, allowed_cpus
from results.errors import one_line

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # Tune's new output cannot be switched off
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # keeps the working directory, so that relative paths in a sweep work
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",  # the launch tells in one line why it ends
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # the launch handles signals
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",  # Tune's snapshots are never read
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "60",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
"""Environment variables that are set before Ray is imported, unless the user has set them."""

OBJECT_STORE_BYTES = 200 * 2**20
"""Size of the object store of a Ray that is started here: trials pass configurations and rows, no tensors."""


REACHABLE_WITHIN_S = 10.0
"""How long a cluster may take to answer at its address."""

HTTP2_HEADER_BYTES = 9
"""Bytes of the header of a frame of HTTP/2; the fourth is its type."""
HTTP2_SETTINGS = 4
"""The type of the first frame that each side sends."""

MAX_SOCKET_PATH = 107
"""Longest path of a Unix socket, in bytes."""

SESSION_PATH = "/session_2026-01-31_08-00-00_000000_4194304/sockets/plasma_store.12"
"""What Ray appends to its temporary folder, at most."""

INNER = "/r"
"""The temporary folder of Ray, within the private one."""


@contextmanager
def ray_session(
    address: str | None, notify: Callable[[str], None] = lambda text: None
) -> Iterator[list[Node]]:
    """Connect to Ray, or start it, and yield its nodes. What was started is ended afterwards.

    Args:
        address: ``auto`` or ``host:port`` of a cluster; None starts Ray on this machine. Ignored if this process is
            connected to a Ray already.
        notify: called with one line of text if a cluster takes long to answer.

    Raises:
        LaunchError: the address is that of a Ray client or cannot be reached, or Ray cannot start.
    """
    if address is not None and address.startswith("ray://"):
        raise LaunchError(
            f"the address must be auto or host:port, but got {address}: a launch has to outlive a client's "
            "connection, so start it on a node of the cluster, or with `ray job submit`"
        )
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import ray

    if ray.is_initialized():
        yield living_nodes()
        return
    try:
        if address is None:
            # Without a token in the environment, Ray writes one to a file in the home folder.
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
            options = _options_of_own_ray()
        else:
            _check_reachable(address)
            options = {"runtime_env": {"env_vars": ENVIRONMENT}}
        with (
            _saying_what_is_waited_for(f"Ray at {address or 'this machine'}", notify),
            _children_deaf_to(signal.SIGHUP),
        ):
            ray.init(address=address or "local", log_to_driver=False, logging_level="error", **options)
    except LaunchError:
        raise
    except SystemExit:  # what Ray's own handler makes of SIGTERM
        notify("SIGTERM: stopping")
        raise KeyboardInterrupt from None
    except Exception as error:  # of many classes, by cause
        if address:
            raise LaunchError(f"Ray must be reachable at {address}, but {one_line(error)}") from None
        raise LaunchError(f"Ray must start on this machine, but {one_line(error)}") from None
    try:
        yield living_nodes()
    finally:
        ray.shutdown()


@contextmanager
def _children_deaf_to(number: signal.Signals) -> Iterator[None]:
    """Block a signal in the processes that are started inside the block; a blocked signal is inherited.

    A terminal that closes sends SIGHUP to the launch and to all processes that it has started. Only the launch may act
    on it: it ends its trials in order, and then Ray.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _options_of_own_ray() -> dict[str, object]:
    """Return the options of a Ray that is started here."""
    return {
        "num_cpus": allowed_cpus(),
        "include_dashboard": False,
        "object_store_memory": OBJECT_STORE_BYTES,
        "_temp_dir": str(_temporary_folder()),
    }


def _temporary_folder() -> Path:
    """Return a folder for Ray's sockets and logs, in one that only this user may enter. Both are short.

    Ray lets everybody write into its folder (mode 0777), whatever mode it has.

    Raises:
        LaunchError: there is no such folder.
    """
    wanted = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir())
    for parent in (wanted, Path("/tmp"), Path("/dev/shm")):
        folder = parent / f"ray-{os.getuid()}"
        if len(os.fsencode(f"{folder}{INNER}{SESSION_PATH}")) > MAX_SOCKET_PATH:
            continue
        with suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = folder.lstat()
            if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and os.access(folder, os.W_OK):
                folder.chmod(0o700)
                return Path(f"{folder}{INNER}")
    raise LaunchError(
        f"Ray needs a folder for temporary files with a short path, but TMPDIR is {wanted}: set RAY_TMPDIR to a "
        f"writable folder of at most {MAX_SOCKET_PATH - len(f'/ray-{os.getuid()}{INNER}{SESSION_PATH}')} characters"
    )


def _check_reachable(address: str) -> None:
    """Check that somebody listens at ``host:port``. Ray itself would try for more than ten minutes.

    Raises:
        LaunchError: nobody does, or the address has another form.
    """
    if address in ("auto", "local"):
        return
    host, colon, port = address.rpartition(":")
    if not (colon and host and port.isdigit() and 0 < int(port) < 2**16):
        raise LaunchError(f"the address must be auto or host:port, but got {address}")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), REACHABLE_WITHIN_S) as connection:
            is_ray = os.environ.get("RAY_USE_TLS") in ("1", "true") or _speaks_grpc(connection)
    except OSError as error:
        raise LaunchError(f"Ray must be reachable at {address}, but {error.strerror or error}") from None
    if not is_ray:
        raise LaunchError(f"Ray must be reachable at {address}, but what listens there is another program")


def _speaks_grpc(connection: socket.socket) -> bool:
    """Whether the other end is a gRPC server, as Ray's head is: it answers an HTTP/2 preface with a SETTINGS frame."""
    connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, HTTP2_SETTINGS, 0, 0, 0, 0, 0]))
    header = b""
    try:
        while len(header) < HTTP2_HEADER_BYTES and (
            received := connection.recv(HTTP2_HEADER_BYTES - len(header))
        ):
            header += received
    except ConnectionResetError:
        return False
    return len(header) == HTTP2_HEADER_BYTES and header[3] == HTTP2_SETTINGS


@contextmanager
def _saying_what_is_waited_for(what: str, notify: Callable[[str], None]) -> Iterator[None]:
    """Say every ten seconds that something is still waited for."""
    over = threading.Event()

    def say() -> None:
        waited = 0.0
        while not over.wait(REACHABLE_WITHIN_S):
            waited += REACHABLE_WITHIN_S
            notify(f"waiting for {what}: no answer for {waited:g} s")

    thread = threading.Thread(target=say, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def living_nodes() -> list[Node]:
    """Return the resources of every living node of the Ray that this process is connected to.

    Raises:
        LaunchError: this process's own node has died, so it cannot start anything any more.
    """
    import ray

    alive = [node for node in ray.nodes() if node["Alive"]]
    if ray.get_runtime_context().get_node_id() not in {node["NodeID"] for node in alive}:
        raise LaunchError("the Ray node that a launch runs on must be alive, but it has died; launch again")
    return [node["Resources"] for node in alive]
