"""How many trials are with Ray Tune at a time: those that fit, and after a while one more that asks for room.

A trial that waits in Tune has its resources requested, and the request taken back when the process of another trial
can be kept for it. So for short trials none waits; where trials are long, the one that waits makes an autoscaler
bring a node, and starts at once on whatever becomes free.
"""

from __future__ import annotations

import time
from collections.abc import Callable

COUNTED_EVERY_S = 5.0
ASKS_AFTER_S = 5.0
"""How long all slots must have been taken before one more trial asks for room."""


class Capacity:
    """Counts the gangs that the cluster holds now and then, and says whether another trial may be handed out."""

    def __init__(self, count: Callable[[], int], clock: Callable[[], float] = time.monotonic) -> None:
        self._count = count
        self._clock = clock
        self._counted_at = clock()
        self._full_since: float | None = None
        self.total = count()

    def recount(self) -> None:
        """Count again, unless that was just done. Raises what counting raises."""
        now = self._clock()
        if now - self._counted_at >= COUNTED_EVERY_S:
            self.total, self._counted_at = self._count(), now

    def has_room(self, taken: int) -> bool:
        """Say whether another trial may be handed out while ``taken`` are with Tune."""
        now = self._clock()
        if taken < self.total:
            self._full_since = None
            return True
        if self._full_since is None:
            self._full_since = now
        return taken == self.total and now - self._full_since >= ASKS_AFTER_S
