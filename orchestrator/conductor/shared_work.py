"""Work that several trials share: a trial waits while another one runs its search, or a stage from which it goes on.

It then takes over what that one has stored (``trials.checkpointing``). If they started at the same time, each would do
the work itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from results import LedgerEntry
from trials.config import TrialConfig, of_record


@dataclass
class _Running:
    """The work of a running trial, in the order in which it is done."""

    keys: list[str]
    searches: bool
    """Whether the first of ``keys`` is that of a search."""
    done: int = 0
    """Number of keys whose work is done."""

    def position(self, phase: object) -> int:
        """Return the position of the work that an epoch of ``phase`` belongs to."""
        training = int(self.searches)
        if phase == "search":
            return 0
        return training if phase == "train" else max(self.done, training + 1)


class SharedWork:
    """Keeps track of the searches and stages of the running trials."""

    def __init__(self) -> None:
        self._work_of: dict[int, list[tuple[str, int]]] = {}  # keys with epochs, by trial index
        self._running: dict[int, _Running] = {}
        self._done: set[str] = set()

    def is_free(self, entry: LedgerEntry) -> bool:
        """Return whether no other trial is running, or will run, the search or a stage of ``entry``."""
        claimed = {key for running in self._running.values() for key in running.keys[running.done :]}
        return all(key in self._done or key not in claimed for key, _ in self._work(entry))

    def started(self, entry: LedgerEntry, epochs_done: int = 0) -> None:
        """Record that a trial starts after ``epochs_done`` epochs."""
        work = self._work(entry)
        keys = [key for key, _ in work]
        running = _Running(keys, searches=bool(keys) and keys[0].startswith("search-"))
        self._running[entry.index] = running
        for _, epochs in work:
            epochs_done -= epochs
            if epochs_done > 0:  # it has begun what comes next
                self._complete(running, running.done + 1)

    def reported(self, index: int, row: Mapping[str, object]) -> None:
        """Record an epoch of a trial by its progress row."""
        running = self._running.get(index)
        if running is not None:
            ends = row.get("epoch") == row.get("epochs", 0)
            self._complete(running, running.position(row.get("phase")) + int(ends))

    def finished(self, index: int) -> None:
        """Record that a trial has done all its work."""
        running = self._running.get(index)
        if running is not None:
            self._complete(running, len(running.keys))

    def ended(self, index: int) -> None:
        """Record that a trial has ended, in whatever phase."""
        self._running.pop(index, None)
        self._work_of.pop(index, None)

    def _complete(self, running: _Running, count: int) -> None:
        self._done.update(running.keys[running.done : count])
        running.done = max(running.done, count)

    def _work(self, entry: LedgerEntry) -> list[tuple[str, int]]:
        if entry.index not in self._work_of:
            self._work_of[entry.index] = of_record(TrialConfig, entry.config).shared_work()
        return self._work_of[entry.index]
