"""Reading files so that none is trusted, and replacing files so that none is lost."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from results.errors import BrokenFileError
from results.storage.backends.storage import Storage, whole
from results.storage.problems import Problems

QUARANTINE = "quarantine"
"""Folder of the files that were moved away."""

T = TypeVar("T")


@dataclass(frozen=True)
class CheckedFiles:
    """The files of a run. Readers skip and note broken ones; writers move them into ``quarantine/`` first."""

    storage: Storage
    problems: Problems

    def read(self, path: str, load: Callable[[], T]) -> T | None:
        """Return what ``load`` makes of the file ``path``; None if it is missing or broken, which is noted.

        ``load`` raises ``FileNotFoundError`` for a missing file and ``BrokenFileError`` for a broken one.
        """
        try:
            content = whole(self.storage, load)
        except FileNotFoundError:
            return None
        except BrokenFileError as error:
            self.problems.note(path, str(error))
            return None
        self.problems.clear(path)
        return content

    def replace(self, path: str, content: bytes) -> None:
        """Write a file; a broken one of that name is quarantined first."""
        if self.problems.about(path):
            self.quarantine(path)
        self.storage.write(path, content)

    def quarantine(self, path: str) -> bool:
        """Move a file into ``quarantine/``; False if it is gone: another process replaced or moved it."""
        try:
            self.storage.move(path, f"{QUARANTINE}/{path}.{uuid.uuid4().hex[:8]}")
        except FileNotFoundError:
            return False
        finally:
            self.problems.clear(path)
        return True
