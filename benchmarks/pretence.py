"""Pretended hosts, disks and clocks of ``benchmarks.faults``.

A launch and its trials read from the environment in which folder their switches are. A switch is a file: while ``full``
exists, nothing can be written; while ``faulty`` exists, every third write fails. An S3 server obeys the same switches.
The clock of every process is wrong by up to an hour.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

from typing_extensions import override

from tests.doubles import fake_trials
from trials.config import TrialConfig
from trials.context import TrialContext

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

VARIABLE = "SHRINKSWEEP_PRETENCE"
"""Environment variable with the folder of the switches."""

LEASE_S, RENEW_S = 10.0, 2.0
"""A shorter lease, so that a takeover takes seconds."""


def pretend_host(name: str) -> None:
    """Make this process, a launch, believe that it runs on another host."""
    from orchestrator.conductor import lease

    here = lease.machine_name()
    lease.LASTS_S, lease.RENEW_EVERY_S = LEASE_S, RENEW_S
    lease.machine_name = lambda: f"{name} {here}"
    vars(lease)["datetime"] = WrongClock
    break_disk()


def break_disk() -> None:
    """Let the switches decide whether this process can write files."""
    folder = Path(os.environ[VARIABLE])
    flush, chance = os.fsync, random.Random(os.getpid())

    def fsync(fd: FileDescriptorLike) -> None:
        if (folder / "full").exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if (folder / "faulty").exists() and chance.random() < 1 / 3:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        flush(fd)

    os.fsync = fsync


def failing_puts(folder: Path) -> Callable[[str, int], str]:
    """Return how an S3 server answers while the switches are set, see ``tests.results.s3.S3Server.fails``."""
    chance = random.Random(0)

    def fails(method: str, count: int) -> str:
        if method != "PUT":
            return "no"
        if (folder / "full").exists():
            return "busy"
        faulty = (folder / "faulty").exists() and chance.random() < 1 / 3
        return "lost" if faulty else "no"  # done, but said to have failed

    return fails


class WrongClock(datetime):
    """A clock that is wrong by up to an hour, differently in every process."""

    @classmethod
    @override
    def now(cls, tz: tzinfo | None = None) -> WrongClock:
        wrong = timedelta(seconds=random.Random(os.getpid()).uniform(-3600, 3600))
        return cls.fromtimestamp((datetime.now(UTC) + wrong).timestamp(), tz)


def disturbed_trial(config: TrialConfig, context: TrialContext) -> None:
    """Run ``fake_trials.counted_trial`` with a disk that fails and a wrong clock."""
    if vars(fake_trials)["datetime"] is not WrongClock:  # the first trial of this process
        break_disk()
        vars(fake_trials)["datetime"] = WrongClock
    fake_trials.counted_trial(config, context)
