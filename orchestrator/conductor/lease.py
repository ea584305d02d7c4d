"""The lease on a run directory: one launch writes at a time, a second one is refused.

No lock of the file system is needed, so it works on NFS and object stores alike. Taking it is Fischer's
algorithm: wait until it is free, write your own name, wait longer than a write takes, and see whose name is there.
The holder renews it; a holder that finds another's name there writes no more. A lease whose process has died on
this machine is taken over at once; one of another machine when it was not renewed for as long as it lasts, by the
clock of whoever waits: clocks of hosts are never compared.
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
from typing import Any

import psutil

from orchestrator.errors import LaunchError
from results import Lease, RunDirectory

logger = logging.getLogger(__name__)

LASTS_S = 60.0
RENEWED_EVERY_S = 10.0
SETTLES_S = 0.2
"""Longer than it takes to write a lease that was found free."""


class HeldError(LaunchError):
    """A run directory that another launch writes to."""


def refuse_held(directory: RunDirectory) -> None:
    """Check that no living process of this machine holds the lease. Error: ``HeldError``."""
    lease = directory.read_lease()
    if lease is not None and _lives_here(lease):
        raise _held(directory, lease)


def shows_life(lease: Lease, now: datetime) -> bool:
    """Say whether the launch that left a lease seems to be alive, for somebody who only wants to know.

    Of a launch elsewhere only the clock of its host tells.
    """
    if lease.machine == _machine():
        return _lives(lease)
    return (now - lease.renewed).total_seconds() <= lease.lasts_s


@contextmanager
def holding(
    directory: RunDirectory, say: Callable[[str], None], *, sleep: Callable[[float], Any] = time.sleep
) -> Iterator[Holder]:
    """Take the lease, renew it inside the ``with`` block, and give it back.

    ``say`` is told when it has to be waited for. Errors: ``HeldError``; ``OSError`` from storage.
    """
    _await_free(directory, say, sleep)
    holder = Holder(directory)
    directory.write_lease(holder.lease)
    sleep(SETTLES_S)
    now = directory.read_lease()
    if now is not None and now.nonce != holder.lease.nonce:
        raise _held(directory, now)
    stop = threading.Event()
    renewing = threading.Thread(target=holder.keep, args=(stop,), name="lease", daemon=True)
    renewing.start()
    try:
        yield holder
    finally:
        stop.set()
        renewing.join(RENEWED_EVERY_S)
        holder.give_back()


class Holder:
    """A launch that holds the lease, until it finds another's name there."""

    def __init__(self, directory: RunDirectory, clock: Callable[[], float] = time.monotonic) -> None:
        self._directory = directory
        self._clock = clock
        self._renewed = clock()
        self._lost_to: Lease | None = None
        self.lease = _new_lease()

    def check(self) -> None:
        """Make sure that the lease is still held, before something is written. Error: ``HeldError``.

        Storage is only asked when renewing is overdue: after a long pause of this process, for example.
        """
        if self._lost_to is None and self._clock() - self._renewed > self.lease.lasts_s:
            self.renew()
        if self._lost_to is not None:
            raise _held(self._directory, self._lost_to)

    def renew(self) -> None:
        """Renew the lease, unless it has become another's. Error: ``OSError`` from storage."""
        now = self._directory.read_lease()
        if now is not None and now.nonce != self.lease.nonce:
            self._lost_to = now
            return
        self.lease = self.lease.model_copy(update={"renewed": datetime.now(UTC)})
        self._directory.write_lease(self.lease)
        self._renewed = self._clock()

    def keep(self, stop: threading.Event) -> None:
        """Renew the lease now and then, until told to stop or it is lost."""
        while not stop.wait(RENEWED_EVERY_S) and self._lost_to is None:
            try:
                self.renew()
            except OSError as error:
                logger.warning("the lease could not be renewed, trying again: %s", error)

    def give_back(self) -> None:
        """Remove the lease, if it is still this launch's; storage that fails leaves it to expire."""
        with suppress(OSError):
            now = self._directory.read_lease()
            if now is not None and now.nonce == self.lease.nonce:
                self._directory.remove_lease()


def _await_free(directory: RunDirectory, say: Callable[[str], None], sleep: Callable[[float], Any]) -> None:
    refuse_held(directory)
    found = directory.read_lease()
    if found is None or found.machine == _machine():
        return
    say(f"waiting up to {found.lasts_s:g} s for a sign of life of another launch: {found}")
    for _ in range(int(found.lasts_s)):
        sleep(1.0)
        now = directory.read_lease()
        if now is None:
            return
        if now != found:
            raise _held(directory, now)


def _held(directory: RunDirectory, lease: Lease) -> HeldError:
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


def _lives_here(lease: Lease) -> bool:
    return lease.machine == _machine() and _lives(lease)


def _lives(lease: Lease) -> bool:
    try:
        process = psutil.Process(lease.pid)
        same = abs(process.create_time() - lease.process_started) < 1.0
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _machine() -> str:
    """Return what tells the processes that this one can see from all others."""
    parts = [socket.gethostname(), _first_line("/proc/sys/kernel/random/boot_id")]
    with suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(part for part in parts if part)


def _first_line(path: str) -> str:
    with suppress(OSError):
        return Path(path).read_text().strip()
    return ""
