"""Searches that several trials share: trials that differ only in training wait for the one that runs their search.

They then take over the finished search (``trials.checkpointing.shared_search``). If they started at the same time, each
would run the search itself.
"""

from __future__ import annotations

from results import LedgerEntry
from trials.config import TrialConfig, of_record


class SharedSearches:
    """Keeps track of the searches of the running trials."""

    def __init__(self) -> None:
        self._key_of: dict[int, str | None] = {}  # search key by trial index; None: the trial has no search
        self._running: dict[int, str] = {}  # search key by index of the trial that runs it
        self._done: set[str] = set()

    def is_free(self, entry: LedgerEntry) -> bool:
        """Return whether no other trial is running the search of ``entry`` now."""
        key = self._key(entry)
        return key is None or key in self._done or key not in self._running.values()

    def started(self, entry: LedgerEntry, epochs_done: int = 0) -> None:
        """Record that a trial starts after ``epochs_done`` epochs; its search may be finished already."""
        key = self._key(entry)
        if key is not None and key not in self._done:
            self._running[entry.index] = key
            if epochs_done > entry.config["search"]["epochs"]:
                self.finished(entry.index)

    def finished(self, index: int) -> None:
        """Record that the search of a trial is finished."""
        key = self._running.pop(index, None)
        if key is not None:
            self._done.add(key)

    def ended(self, index: int) -> None:
        """Record that a trial has ended, in whatever phase."""
        self._running.pop(index, None)
        self._key_of.pop(index, None)

    def _key(self, entry: LedgerEntry) -> str | None:
        if entry.index not in self._key_of:
            config = of_record(TrialConfig, entry.config)
            self._key_of[entry.index] = config.search_key() if config.search_epochs else None
        return self._key_of[entry.index]
