"""Which searches are under way: trials that differ only in their training wait for the one that does theirs.

The others take the finished search over (``trials.checkpointing.shared_search``). If all of them started at once, each
would search for itself.
"""

from __future__ import annotations

from results import LedgerEntry
from trials.config import TrialConfig


class Searches:
    """Follows the searches of the trials that run."""

    def __init__(self) -> None:
        self._key_of: dict[int, str | None] = {}  # by trial; None: it searches for nothing
        self._under_way: dict[int, str] = {}
        self._done: set[str] = set()

    def is_free(self, entry: LedgerEntry) -> bool:
        """Say whether no other trial is doing the search of ``entry`` right now."""
        key = self._key(entry)
        return key is None or key in self._done or key not in self._under_way.values()

    def started(self, entry: LedgerEntry, epochs_done: int = 0) -> None:
        """Take note of a trial that runs from now on, after ``epochs_done``: it may be beyond its search already."""
        key = self._key(entry)
        if key is not None and key not in self._done:
            self._under_way[entry.index] = key
            if epochs_done > entry.config["search"]["epochs"]:
                self.finished(entry.index)

    def finished(self, index: int) -> None:
        """Take note of a trial that is beyond its search."""
        key = self._under_way.pop(index, None)
        if key is not None:
            self._done.add(key)

    def left(self, index: int) -> None:
        """Take note of a trial that runs no more, wherever it was."""
        self._under_way.pop(index, None)
        self._key_of.pop(index, None)

    def _key(self, entry: LedgerEntry) -> str | None:
        if entry.index not in self._key_of:
            config = TrialConfig.model_validate(entry.config)
            self._key_of[entry.index] = config.search_key() if config.search.epochs else None
        return self._key_of[entry.index]
