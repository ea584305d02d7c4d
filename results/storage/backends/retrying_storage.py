"""A storage that retries: while the disk or the server fails, every operation is repeated, for minutes if needed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import pyarrow.fs as pafs
from typing_extensions import override

from results.errors import StorageError, one_line
from results.storage.backends.fence import Fence
from results.storage.backends.storage import Storage, StoredFile

logger = logging.getLogger(__name__)

RETRY_FOR_S = 300.0
"""How long an operation is retried before its error is raised."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 30.0
"""Pauses between attempts: they double from the first to the longest."""

FINAL = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
"""Errors that are answers of a working storage: a retry would change nothing."""

T = TypeVar("T")


@dataclass(frozen=True)
class RetryingStorage(Storage):
    """Wraps a storage and retries what fails: a full disk, a server that restarts, a lost connection.

    ``notify`` is called with a line of text before every pause of a second or more.

    Raises:
        StorageError: the last attempt failed, after ``retry_for_s``.
    """

    inner: Storage
    retry_for_s: float = RETRY_FOR_S
    sleep: Callable[[float], object] = time.sleep
    notify: Callable[[str], None] | None = None

    @property
    @override
    def uri(self) -> str:
        return self.inner.uri

    @property
    @override
    def local(self) -> Path | None:
        return self.inner.local

    @property
    @override
    def fence(self) -> Fence | None:
        return self.inner.fence

    @override
    def within(self, fence: Fence) -> RetryingStorage:
        return replace(self, inner=self.inner.within(fence))

    @override
    def open(self, fence: Fence) -> RetryingStorage:
        return replace(self, inner=self._retry(fence.path, lambda: self.inner.open(fence)))

    @property
    @override
    def caveat(self) -> str | None:
        return self.inner.caveat

    @override
    def write(self, path: str, *parts: bytes) -> None:
        self._retry(path, lambda: self.inner.write(path, *parts))

    @override
    def read(self, path: str, *, limit: int | None = None) -> bytes:
        return self._retry(path, lambda: self.inner.read(path, limit=limit))

    @override
    def ends(self, path: str, count: int) -> bytes:
        return self._retry(path, lambda: self.inner.ends(path, count))

    @override
    def list(self, folder: str, *, temporary: bool = False) -> list[StoredFile]:
        return self._retry(folder, lambda: self.inner.list(folder, temporary=temporary))

    @override
    def folders(self, folder: str) -> set[str]:
        return self._retry(folder, lambda: self.inner.folders(folder))

    @override
    def exists(self, path: str) -> bool:
        return self._retry(path, lambda: self.inner.exists(path))

    @override
    def make_folder(self, folder: str) -> None:
        self._retry(folder, lambda: self.inner.make_folder(folder))

    @override
    def remove(self, path: str) -> None:
        self._retry(path, lambda: self.inner.remove(path))

    @override
    def remove_folder(self, folder: str) -> None:
        self._retry(folder, lambda: self.inner.remove_folder(folder))

    @override
    def move(self, path: str, target: str) -> None:
        def move() -> None:
            try:
                self.inner.move(path, target)
            except FileNotFoundError:
                if not self.inner.exists(target):  # otherwise an attempt moved it, and its answer was lost
                    raise

        self._retry(path, move)

    @override
    def arrow(self, path: str) -> tuple[pafs.FileSystem, str]:
        return self.inner.arrow(path)

    def _retry(self, path: str, operation: Callable[[], T]) -> T:
        waited, pause = 0.0, FIRST_PAUSE_S
        while True:
            try:
                return operation()
            except FINAL:
                raise
            except OSError as error:
                if waited >= self.retry_for_s:
                    raise StorageError(f"{path}: {one_line(error)}") from error
                logger.warning("storage fails at %s, trying again in %.1f s: %s", path, pause, error)
                if self.notify is not None and pause >= 1.0:
                    self.notify(f"storage fails, trying again: {path}: {one_line(error)}")
                self.sleep(pause)
                waited, pause = waited + pause, min(pause * 2, LONGEST_PAUSE_S)
