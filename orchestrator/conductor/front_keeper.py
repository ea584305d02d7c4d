"""The front file, kept current while trials finish; the points are compacted now and then."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from orchestrator.sweep.sweep import Sweep
from results import RunDirectory, refresh_front

REFRESH_EVERY_S = 1.0
"""Minimum time between two refreshes: one costs as much as all records of a small trial."""

COMPACT_EVERY = 500
"""Trials between two compactions, or a fifth of all finished trials if that is more. Readers of a compacted run open
one file instead of thousands."""


class FrontKeeper:
    """Refreshes ``front.parquet`` with the trials that finished since the last refresh. The clock is injected.

    Args:
        sweep: its objectives and constraints define the front.
        directory: the run.
        clock: seconds, monotonic.
        finished: number of trials that had finished before this launch.
    """

    def __init__(
        self, sweep: Sweep, directory: RunDirectory, clock: Callable[[], float], finished: int
    ) -> None:
        self._sweep = sweep
        self._directory = directory
        self._clock = clock
        self._pending: set[str] = set()  # keys of finished trials that the front does not include yet
        self._uncompacted = finished  # trials whose points may exist only in files of their own
        self._refreshed_at: float | None = None

    def add(self, key: str) -> None:
        """Include a finished trial in the next refresh."""
        self._pending.add(key)

    def refresh(self, finished: int) -> pa.Table | None:
        """Refresh the front and return it; None if no trial is pending, or the last refresh was just now.

        The first refresh of a launch reads all points: a kill may have left an outdated front.

        Args:
            finished: number of trials of the run that have finished.
        """
        last = self._refreshed_at
        if not self._pending or (last is not None and self._clock() - last < REFRESH_EVERY_S):
            return None
        keys = None if last is None else self._pending
        front = refresh_front(self._directory, self._sweep.objectives, keys, constraints=self._sweep.bounds)
        self._uncompacted += len(self._pending)
        if self._uncompacted >= max(COMPACT_EVERY, finished // 5):
            self._directory.compact(at_least=COMPACT_EVERY)
            self._uncompacted = 0
        self._pending, self._refreshed_at = set(), self._clock()
        return front
