"""What was found wrong with a run's files: named once in the log, listed for whoever asks."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Problem:
    """A file of the run that could not be read: its path in the run directory, and why."""

    path: str
    reason: str


@dataclass
class Problems:
    """The files that the last attempt to read them found broken or foreign."""

    uri: str
    _reasons: dict[str, str] = field(default_factory=dict)

    def note(self, path: str, reason: str) -> None:
        """Remember that ``path`` cannot be read, and say so if it is news."""
        if self._reasons.get(path) != reason:
            log.warning("%s: %s is skipped: %s", self.uri, path, reason)
        self._reasons[path] = reason

    def clear(self, path: str) -> None:
        """Forget what was wrong with ``path``: it was read, replaced or moved."""
        self._reasons.pop(path, None)

    def about(self, path: str) -> bool:
        """Say whether something is wrong with ``path``."""
        return path in self._reasons

    def all(self) -> list[Problem]:
        """Return every problem, by path."""
        return [Problem(path, reason) for path, reason in sorted(self._reasons.items())]
