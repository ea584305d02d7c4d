"""Trials that stand still: their processes are stopped, or wait for something that does not come.

A trial makes progress whenever the signs of life of its processes change, or an epoch is reported. The clock is
injected. Time in which the launch itself was suspended does not count: its trials may have been suspended, too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from results.storage.ledger import Failure

AT_LEAST_S = 900.0
"""A trial may make no progress for at least this long, if the sweep does not say how long."""

EPOCHS = 10
"""And for as long as this many of its longest epochs."""

LOOK_EVERY_S = 10.0
"""Processes share their signs of life, and a launch looks at them, at least this often."""

Signs = Mapping[str, int]
"""How many steps each process of a trial has done, by the name of the process."""


@dataclass
class _Watched:
    signs: Signs | None = None
    begun: bool = False
    """Whether a step or an epoch was seen. Before, its processes load libraries and images."""
    silent_s: float = 0.0
    longest_epoch_s: float = 0.0
    found: int = 0
    """How often it was found to stand still."""


def look_every_s(limit_s: float | None) -> float:
    """Return how often signs of life are shared and looked at, if a trial may make no progress for ``limit_s``."""
    return LOOK_EVERY_S if limit_s is None else min(LOOK_EVERY_S, limit_s / 5)


class Stalls:
    """Watches the trials that are placed on the cluster.

    Args:
        limit_s: how long a trial may make no progress; None: as long as its own epochs make likely.
        clock: seconds, monotonic.
    """

    def __init__(self, limit_s: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.look_every_s = look_every_s(limit_s)
        self._limit_s = limit_s
        self._clock = clock
        self._looked_at = clock()
        self._watched: dict[int, _Watched] = {}
        self._reasons: dict[int, Failure] = {}

    @property
    def due(self) -> bool:
        """Whether it is time for ``look``."""
        return self._clock() - self._looked_at >= self.look_every_s

    def placed(self, index: int) -> None:
        """Watch a trial from now on."""
        self._watched[index] = _Watched()

    def progressed(self, index: int, epoch_s: object = None) -> None:
        """Record that a trial has reported an epoch of ``epoch_s`` seconds."""
        watched = self._watched.get(index)
        if watched is not None:
            watched.begun = watched.begun or epoch_s is not None
            watched.silent_s, watched.found = 0.0, 0
            self._reasons.pop(index, None)
            if isinstance(epoch_s, int | float):
                watched.longest_epoch_s = max(watched.longest_epoch_s, epoch_s)

    def ended(self, index: int) -> Failure | None:
        """Watch a trial no longer. Return why it was ended, if it stood still."""
        self._watched.pop(index, None)
        return self._reasons.pop(index, None)

    def look(self, signs: Mapping[int, Signs]) -> list[int]:
        """Compare the signs of life of the trials with those of the last look; return the trials to be ended.

        A trial that still stands still is returned again after the same time: the attempt to end it failed.
        A trial whose processes have shown no sign yet has not begun: its processes start, or wait for resources.
        """
        now = self._clock()
        passed_s, self._looked_at = min(now - self._looked_at, 3 * self.look_every_s), now
        stalled = []
        for index, watched in self._watched.items():
            known, shown = watched.signs or {}, signs.get(index)
            if watched.signs != shown:
                watched.signs = shown
                watched.begun = watched.begun or _have_worked(known, shown or {})
                self.progressed(index)
            elif watched.signs is not None:
                watched.silent_s += passed_s
            if watched.silent_s >= (watched.found + 1) * self._limit_of(watched):
                watched.found += 1
                message = f"no progress for {watched.silent_s:.0f} s: a process is stopped, or waits in vain"
                self._reasons[index] = Failure(kind="Stalled", message=message)
                stalled.append(index)
        return stalled

    def _limit_of(self, watched: _Watched) -> float:
        if self._limit_s is None:
            return max(AT_LEAST_S, EPOCHS * watched.longest_epoch_s)
        return self._limit_s if watched.begun else max(self._limit_s, AT_LEAST_S)


def _have_worked(before: Signs, now: Signs) -> bool:
    """Whether a process has done a step between two looks."""
    return any(now[process] != before[process] for process in before.keys() & now.keys())
