"""Files of a run that cannot be read: each is logged once, and listed on request."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Problem:
    """A file of the run that could not be read: its path in the run directory, and the reason."""

    path: str
    reason: str


@dataclass
class Problems:
    """The files that were broken or foreign at the last attempt to read them."""

    uri: str
    _reasons: dict[str, str] = field(default_factory=dict)

    def note(self, path: str, reason: str) -> None:
        """Record that ``path`` cannot be read; a new reason is logged as a warning."""
        if self._reasons.get(path) != reason:
            log.warning("%s: %s is skipped: %s", self.uri, path, reason)
        self._reasons[path] = reason

    def clear(self, path: str) -> None:
        """Forget the problem of ``path``: the file was read, replaced or moved."""
        self._reasons.pop(path, None)

    def about(self, path: str) -> bool:
        """Whether ``path`` has a problem."""
        return path in self._reasons

    def all(self) -> list[Problem]:
        """Return every problem, by path."""
        return [Problem(path, reason) for path, reason in sorted(self._reasons.items())]
