"""The fence of a writer: a folder of the run directory that exists for as long as its holder may change the run.

Every launch has a fence of its own, and whoever takes a run over removes the fences of all others. Where files can be
renamed, a file is written inside the fence and then renamed over its target: a process whose fence is gone cannot do
that, however late it tries. An object store knows no rename, so the fence is looked up before a change.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

FOLDER = "writers"

CHECK_EVERY_S = 1.0
"""How long the answer of an object store that a fence exists is relied on."""


@dataclass(frozen=True)
class Fence:
    """Names a fence."""

    token: int
    """Grows with every launch that takes the run over."""
    nonce: str
    """Random text: no other directory has a fence of the same name."""

    @property
    def path(self) -> str:
        """The folder, relative to the run directory."""
        return f"{FOLDER}/{self.token:08d}-{self.nonce}"

    @property
    def mark(self) -> str:
        """A file in the folder: object stores have no empty folders."""
        return f"{self.path}/open"


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
