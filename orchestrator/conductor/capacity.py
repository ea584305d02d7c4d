"""How many trials are handed to Ray Tune at a time: as many as fit, and after a while one more.

A trial that waits in Tune requests resources, and cancels the request if it can reuse the process of a finished trial.
Short trials would pay for this again and again, so none of them waits. Where trials are long, the waiting one makes an
autoscaler add a node, and starts at once when resources become free.
"""

from __future__ import annotations

import time
from collections.abc import Callable

RECOUNT_EVERY_S = 5.0
REQUEST_AFTER_S = 5.0
"""How long the cluster must have been full, without the end of a trial, before one more trial requests resources."""


class Capacity:
    """Limits the trials that are handed to Tune.

    Args:
        count: returns how many gangs fit on the cluster.
        clock: seconds, monotonic.
    """

    def __init__(self, count: Callable[[], int], clock: Callable[[], float] = time.monotonic) -> None:
        self._count = count
        self._clock = clock
        self._counted_at = clock()
        self._full_since: float | None = None
        self._taken = 0
        self.total = count()

    def recount(self) -> None:
        """Count again, at most once every ``RECOUNT_EVERY_S``. An error of ``count`` propagates."""
        now = self._clock()
        if now - self._counted_at >= RECOUNT_EVERY_S:
            self.total, self._counted_at = self._count(), now

    def has_room(self, taken: int) -> bool:
        """Return whether another trial may be handed to Tune, which has ``taken`` trials already."""
        now, before, self._taken = self._clock(), self._taken, taken
        if taken < self.total:
            self._full_since = None
            return True
        if self._full_since is None or taken < before:
            self._full_since = now
        return taken == self.total and now - self._full_since >= REQUEST_AFTER_S
