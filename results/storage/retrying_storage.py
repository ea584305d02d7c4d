"""A storage that is waited for: while it fails, every operation is tried again, for minutes if need be."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from results.storage.storage import Storage, StoredFile

logger = logging.getLogger(__name__)

RETRY_FOR_S = 300.0
"""How long storage may fail before whoever needs it gives up."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 30.0

FINAL = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
"""Answers of a storage that works: asking again would change nothing."""

T = TypeVar("T")


@dataclass(frozen=True)
class RetryingStorage:
    """Another storage, whose failures are waited out: a full disk, a server that restarts, a lost connection.

    ``before_change`` is called before every attempt to write, move or remove; what it raises ends the attempt.
    Error: the ``OSError`` of the last attempt, when ``retry_for_s`` are over.
    """

    inner: Storage
    before_change: Callable[[], None] | None = None
    retry_for_s: float = RETRY_FOR_S
    sleep: Callable[[float], Any] = time.sleep

    @property
    def uri(self) -> str:
        return self.inner.uri

    @property
    def local(self) -> Path | None:
        return self.inner.local

    def write(self, path: str, *parts: bytes) -> None:
        self._change(path, lambda: self.inner.write(path, *parts))

    def read(self, path: str) -> bytes:
        return self._retried(path, lambda: self.inner.read(path))

    def ends(self, path: str, count: int) -> bytes:
        return self._retried(path, lambda: self.inner.ends(path, count))

    def list(self, folder: str, *, temporary: bool = False) -> list[StoredFile]:
        return self._retried(folder, lambda: self.inner.list(folder, temporary=temporary))

    def exists(self, path: str) -> bool:
        return self._retried(path, lambda: self.inner.exists(path))

    def make_folder(self, folder: str) -> None:
        self._change(folder, lambda: self.inner.make_folder(folder))

    def remove(self, path: str) -> None:
        self._change(path, lambda: self.inner.remove(path))

    def remove_folder(self, folder: str) -> None:
        self._change(folder, lambda: self.inner.remove_folder(folder))

    def move(self, path: str, target: str) -> None:
        def act() -> None:
            try:
                self.inner.move(path, target)
            except FileNotFoundError:
                if not self.inner.exists(target):  # else an attempt that seemed to fail has moved it
                    raise

        self._change(path, act)

    def arrow(self, folder: str) -> tuple[Any, str]:
        return self.inner.arrow(folder)

    def _change(self, path: str, act: Callable[[], T]) -> T:
        def guarded() -> T:
            if self.before_change is not None:
                self.before_change()
            return act()

        return self._retried(path, guarded)

    def _retried(self, path: str, act: Callable[[], T]) -> T:
        waited, pause = 0.0, FIRST_PAUSE_S
        while True:
            try:
                return act()
            except FINAL:
                raise
            except OSError as error:
                if waited >= self.retry_for_s:
                    raise
                logger.warning("storage fails at %s, trying again in %.1f s: %s", path, pause, error)
                self.sleep(pause)
                waited, pause = waited + pause, min(pause * 2, LONGEST_PAUSE_S)
