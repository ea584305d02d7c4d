"""The fence of a writer: a folder of the run directory that exists for as long as its holder may change the run.

Every launch has a fence of its own, and whoever takes a run over removes the fences of all others. Inside it, every
attempt at a trial has one, too: the launch removes it before the trial is tried again. Where files can be renamed, a
file is written inside the fence and then renamed over its target: a process whose fence is gone cannot do that, however
late it tries. An object store knows no rename, so the fence is looked up before a change, and ``conditional_puts`` lets
no late one replace a newer object.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

FOLDER = "writers"

WRITER = re.compile(r"\d{1,18}(-\d{1,18}-\d{1,18})?")
"""The texts of ``Fence.writer``."""

CHECK_EVERY_S = 1.0
"""How long the answer of an object store that a fence exists is relied on."""


@dataclass(frozen=True)
class Fence:
    """Names a fence."""

    token: int
    """Grows with every launch that takes the run over."""
    nonce: str
    """Random text: no other directory has a fence of the same name."""
    trial: int | None = None
    """Ledger index of a trial, in the fence of an attempt at it; None: the fence of the whole launch."""
    attempt: int = 0
    """Grows with every attempt of the launch."""

    def of_attempt(self, trial: int, attempt: int) -> Fence:
        """Return the fence of an attempt at a trial, inside the one of its launch."""
        return replace(self, trial=trial, attempt=attempt)

    @property
    def path(self) -> str:
        """The folder, relative to the run directory."""
        launch = f"{FOLDER}/{self.token:08d}-{self.nonce}"
        return launch if self.trial is None else f"{launch}/{self.trial}-{self.attempt}"

    @property
    def marks(self) -> list[str]:
        """A file in the folder, and in the one around it: object stores have no empty folders."""
        around = [] if self.trial is None else replace(self, trial=None).marks
        return [f"{self.path}/open", *around]

    @property
    def writer(self) -> str:
        """Who writes inside the fence, as a text from which ``gives_way_to`` tells who came later."""
        return f"{self.token}" if self.trial is None else f"{self.token}-{self.trial}-{self.attempt}"

    def gives_way_to(self, writer: str) -> bool:
        """Whether ``writer`` belongs to a later launch, or to a later attempt at the same trial."""
        if not WRITER.fullmatch(writer):
            return False
        token, *attempt = map(int, writer.split("-"))
        if token != self.token or self.trial is None:
            return token > self.token
        return attempt > [self.trial, self.attempt] and attempt[0] == self.trial


def boot_time() -> float:
    """Return the seconds since this machine was started, also those for which it was suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


@dataclass
class RecentCheck:
    """Asks whether a fence exists, unless it did less than ``CHECK_EVERY_S`` ago."""

    clock: Callable[[], float] = boot_time
    _seen_at: float | None = field(default=None, init=False)

    def exists(self, look: Callable[[], bool]) -> bool:
        """Return whether the fence exists, or existed just now. ``look`` asks the store."""
        now = self.clock()
        if self._seen_at is None or not 0 <= now - self._seen_at < CHECK_EVERY_S:
            self._seen_at = now if look() else None
        return self._seen_at is not None

    def __reduce__(self) -> tuple[type[RecentCheck], tuple[()]]:
        return type(self), ()  # another process looks for itself
