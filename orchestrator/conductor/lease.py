"""The lease on a run directory: one launch writes at a time, a second one is refused.

The lease is a file, and needs no locks of the file system: it works on NFS and object stores alike. It is acquired by
Fischer's algorithm: wait until it is free, write your name, wait longer than a write takes, and check whose name is
there. Then the fences of all other launches are removed: whatever is left of them writes nothing any more, even if
their writes were slow or their processes wake up later. The holder renews the lease, and ends when the lease is gone or
another's.

A lease whose process has died on this machine is taken over at once. One from another machine is taken over when it was
not renewed for as long as it lasts, by the clock of the waiting launch: clocks of different hosts are never compared.
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
from results import Lease, LostLeaseError, RunDirectory
from results.storage.backends.fence import CHECK_EVERY_S, Fence, boot_time

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
    if lease.released:
        return False
    if lease.machine == machine_name():
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
    holder.take(sleep)
    if (caveat := holder.directory.storage.caveat) is not None:
        notify(f"note: {caveat}")
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
    """A launch that holds the lease, until it finds the lease gone or another's.

    Attributes:
        lease: as it was written last.
        fence: of this launch.
        directory: the run directory inside the fence. Only this one, and copies of it, may be written to.
    """

    def __init__(self, directory: RunDirectory, clock: Callable[[], float] = boot_time) -> None:
        self._unfenced = directory
        self._clock = clock
        self._lost = False
        self._renewed_at = clock()
        self.lease = _new_lease(_next_token(directory))
        self.fence = Fence(self.lease.token, self.lease.nonce)
        self.directory = directory.within(self.fence)

    def take(self, sleep: Callable[[float], object] = time.sleep) -> None:
        """Write the lease, and remove the fences of all other launches.

        Raises:
            HeldError: another launch does so at the same time.
            LaunchError: the run directory is gone.
        """
        self.directory = self._unfenced.open_fence(self.fence)
        try:
            self.directory.write_lease(self.lease)
            sleep(SETTLE_S)
            current = self._unfenced.read_lease()
            if current is not None and current.nonce != self.lease.nonce:
                raise _held_error(self._unfenced, current)
            others = self._unfenced.fences() - {self.fence.path}
            for path in others:
                self._unfenced.close_fence(path)
            if others and self._unfenced.storage.local is None:
                sleep(CHECK_EVERY_S)  # for so long they may rely on their last look
            self.directory.write_lease(self.lease)  # the last holder may have renewed its own until now
        except LostLeaseError:
            raise self.why_lost() from None
        except BaseException:
            self._unfenced.close_fence(self.fence.path)
            raise
        self._renewed_at = self._clock()

    def check(self) -> None:
        """Check that the lease is still held. Cheap: to be called often.

        Storage is read only if the renewal is overdue, for example after this process was suspended.

        Raises:
            LostLeaseError: it is gone, or another launch has taken it over.
        """
        if not self._lost and self._clock() - self._renewed_at > self.lease.lasts_s:
            with suppress(OSError):
                self.renew()
        if self._lost:
            raise LostLeaseError("the lease is lost")

    def renew(self) -> None:
        """Renew the lease if it is still there.

        Raises:
            OSError: storage failed.
        """
        try:
            if self._holds(self._unfenced.read_lease()):
                self.lease = self.lease.model_copy(update={"renewed": datetime.now(UTC)})
                self.directory.write_lease(self.lease)
                self._renewed_at = self._clock()
                return
        except LostLeaseError:
            pass
        self._lost = True

    def keep_renewing(self, stop: threading.Event) -> None:
        """Renew the lease every ``RENEW_EVERY_S`` until ``stop`` is set or the lease is lost."""
        while not stop.wait(RENEW_EVERY_S) and not self._lost:
            try:
                self.renew()
            except OSError as error:
                logger.warning("the lease could not be renewed, trying again: %s", error)

    def release(self) -> None:
        """Give the lease back if it is still this launch's. If storage fails, the lease expires."""
        with suppress(OSError, LostLeaseError):
            if self._holds(self._unfenced.read_lease()):
                self.lease = self.lease.model_copy(update={"released": True})
                self.directory.write_lease(self.lease)
        with suppress(OSError):
            self._unfenced.close_fence(self.fence.path)

    def why_lost(self) -> LaunchError:
        """Return the error of a launch that has lost the lease: who has it now, or that the run is gone."""
        uri, lease = self._unfenced.uri, None
        with suppress(OSError):
            lease = self._unfenced.read_lease()
        if lease is None or lease.nonce == self.lease.nonce:
            return LaunchError(
                f"a run must stay where it is during a launch, but {uri} was removed or replaced"
            )
        return HeldError(f"only one launch at a time may write to a run, but {uri} was taken over by {lease}")

    def _holds(self, lease: Lease | None) -> bool:
        """Whether ``lease``, as read from storage, leaves the run to this launch.

        That of an earlier launch does: it was written late, and is replaced.
        """
        return lease is not None and (lease.nonce == self.lease.nonce or lease.token < self.lease.token)


def _await_free(
    directory: RunDirectory, notify: Callable[[str], None], sleep: Callable[[float], object]
) -> None:
    refuse_held(directory)
    found = directory.read_lease()
    if found is None or found.released or found.machine == machine_name():
        return
    notify(f"waiting up to {found.lasts_s:g} s to see whether another launch is alive: {found}")
    for _ in range(int(found.lasts_s)):
        sleep(1.0)
        current = directory.read_lease()
        if current is None or current.released:
            return
        if current != found:
            raise _held_error(directory, current)


def _held_error(directory: RunDirectory, lease: Lease) -> HeldError:
    return HeldError(f"only one launch at a time may write to a run, but {directory.uri} is held by {lease}")


def _next_token(directory: RunDirectory) -> int:
    """Return a token greater than all earlier ones.

    Where the lease is gone, earlier tokens are unknown. Then it is the time in seconds, which no count of launches
    reaches.
    """
    lease = directory.read_lease()
    if lease is not None and lease.token:
        return lease.token + 1
    return int(time.time()) if directory.exists() else 1


def _new_lease(token: int) -> Lease:
    now = datetime.now(UTC)
    return Lease(
        nonce=uuid.uuid4().hex,
        token=token,
        host=socket.gethostname(),
        machine=machine_name(),
        pid=os.getpid(),
        process_started=psutil.Process().create_time(),
        since=now,
        renewed=now,
        lasts_s=LASTS_S,
    )


def _is_running_here(lease: Lease) -> bool:
    return not lease.released and lease.machine == machine_name() and _is_running(lease)


def _is_running(lease: Lease) -> bool:
    """Whether the lease's process is running: same process id and same start time, which an id reused later has not."""
    try:
        process = psutil.Process(lease.pid)
        same = abs(process.create_time() - lease.process_started) < 1.0
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def machine_name() -> str:
    """Return an identifier of the process-id namespace: host name, boot and container."""
    parts = [socket.gethostname(), _first_line("/proc/sys/kernel/random/boot_id")]
    with suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(part for part in parts if part)


def _first_line(path: str) -> str:
    with suppress(OSError):
        return Path(path).read_text().strip()
    return ""
