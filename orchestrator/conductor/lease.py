"""The lease on a run directory: one launch writes at a time, a second one is refused.

The lease is a file, and needs no locks of the file system: it works on NFS and object stores alike. It is acquired by
Fischer's algorithm: wait until it is free, write your name, wait longer than a write takes, and check whose name is
there. The holder renews it, and stops writing when it finds another holder's name. A lease whose process has died on
this machine is taken over at once. One from another machine is taken over when it was not renewed for as long as it
lasts, by the clock of the waiting launch: clocks of different hosts are never compared.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import psutil

from orchestrator.errors import LaunchError
from results import Lease, RunDirectory

logger = logging.getLogger(__name__)

LASTS_S = 60.0
RENEW_EVERY_S = 10.0
SETTLE_S = 0.2
"""Wait after writing the lease: longer than a write takes that another launch has begun at the same time."""


class HeldError(LaunchError):
    """Another launch holds the lease on the run directory."""


def refuse_held(directory: RunDirectory) -> None:
    """Check that no running process of this machine holds the lease.

    Raises:
        HeldError: one does.
    """
    lease = directory.read_lease()
    if lease is not None and _is_running_here(lease):
        raise _held_error(directory, lease)


def shows_life(lease: Lease, now: datetime) -> bool:
    """Return whether the launch that holds a lease seems to be running, for display only.

    For a launch on another machine this trusts the clock of its host.
    """
    if lease.machine == _machine():
        return _is_running(lease)
    return (now - lease.renewed).total_seconds() <= lease.lasts_s


@contextmanager
def holding(
    directory: RunDirectory, notify: Callable[[str], None], *, sleep: Callable[[float], object] = time.sleep
) -> Iterator[Holder]:
    """Acquire the lease, renew it inside the ``with`` block, and release it.

    Args:
        directory: the run.
        notify: called with a line of text if the lease has to be waited for.
        sleep: waits for a number of seconds.

    Raises:
        HeldError: another launch holds the lease.
        OSError: storage failed.
    """
    _await_free(directory, notify, sleep)
    holder = Holder(directory)
    directory.write_lease(holder.lease)
    sleep(SETTLE_S)
    current = directory.read_lease()
    if current is not None and current.nonce != holder.lease.nonce:
        raise _held_error(directory, current)
    stop = threading.Event()
    renewing = threading.Thread(target=holder.keep_renewing, args=(stop,), name="lease", daemon=True)
    renewing.start()
    try:
        yield holder
    finally:
        stop.set()
        renewing.join(RENEW_EVERY_S)
        holder.release()


class Holder:
    """A launch that holds the lease, until it finds another holder's name there."""

    def __init__(self, directory: RunDirectory, clock: Callable[[], float] = time.monotonic) -> None:
        self._directory = directory
        self._clock = clock
        self._renewed_at = clock()
        self._lost_to: Lease | None = None
        self.lease = _new_lease()

    def check(self) -> None:
        """Check that the lease is still held, before something is written.

        Storage is read only if the renewal is overdue, for example after this process was suspended.

        Raises:
            HeldError: another launch has taken the lease over.
        """
        if self._lost_to is None and self._clock() - self._renewed_at > self.lease.lasts_s:
            self.renew()
        if self._lost_to is not None:
            raise _held_error(self._directory, self._lost_to)

    def renew(self) -> None:
        """Renew the lease, unless another launch has taken it over.

        Raises:
            OSError: storage failed.
        """
        current = self._directory.read_lease()
        if current is not None and current.nonce != self.lease.nonce:
            self._lost_to = current
            return
        self.lease = self.lease.model_copy(update={"renewed": datetime.now(UTC)})
        self._directory.write_lease(self.lease)
        self._renewed_at = self._clock()

    def keep_renewing(self, stop: threading.Event) -> None:
        """Renew the lease every ``RENEW_EVERY_S`` until ``stop`` is set or the lease is lost."""
        while not stop.wait(RENEW_EVERY_S) and self._lost_to is None:
            try:
                self.renew()
            except OSError as error:
                logger.warning("the lease could not be renewed, trying again: %s", error)

    def release(self) -> None:
        """Remove the lease if it is still this launch's. If storage fails, the lease expires."""
        with suppress(OSError):
            current = self._directory.read_lease()
            if current is not None and current.nonce == self.lease.nonce:
                self._directory.remove_lease()


def _await_free(
    directory: RunDirectory, notify: Callable[[str], None], sleep: Callable[[float], object]
) -> None:
    refuse_held(directory)
    found = directory.read_lease()
    if found is None or found.machine == _machine():
        return
    notify(f"waiting up to {found.lasts_s:g} s to see whether another launch is alive: {found}")
    for _ in range(int(found.lasts_s)):
        sleep(1.0)
        current = directory.read_lease()
        if current is None:
            return
        if current != found:
            raise _held_error(directory, current)


def _held_error(directory: RunDirectory, lease: Lease) -> HeldError:
    return HeldError(f"only one launch at a time may write to a run, but {directory.uri} is held by {lease}")


def _new_lease() -> Lease:
    now = datetime.now(UTC)
    return Lease(
        nonce=uuid.uuid4().hex,
        host=socket.gethostname(),
        machine=_machine(),
        pid=os.getpid(),
        process_started=psutil.Process().create_time(),
        since=now,
        renewed=now,
        lasts_s=LASTS_S,
    )


def _is_running_here(lease: Lease) -> bool:
    return lease.machine == _machine() and _is_running(lease)


def _is_running(lease: Lease) -> bool:
    """Whether the lease's process is running: same process id and same start time, which an id reused later has not."""
    try:
        process = psutil.Process(lease.pid)
        same = abs(process.create_time() - lease.process_started) < 1.0
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _machine() -> str:
    """Return an identifier of the process-id namespace: host name, boot and container."""
    parts = [socket.gethostname(), _first_line("/proc/sys/kernel/random/boot_id")]
    with suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(part for part in parts if part)


def _first_line(path: str) -> str:
    with suppress(OSError):
        return Path(path).read_text().strip()
    return ""
