"""Checkpoint files: the newest two of each trial, every file with its own checksum."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from results.errors import BrokenFileError
from results.storage.checked_files import CheckedFiles

HEADER = b"shrinksweep checkpoint 1\n"
KEEP = 2
"""Checkpoints kept of each trial."""

_NAME = re.compile(r"(\d{8,})\.ckpt")


@dataclass(frozen=True)
class Checkpoints:
    """``checkpoints/<key>/<step>.ckpt``: header, SHA-256 of the payload, payload."""

    files: CheckedFiles

    def write(self, key: str, step: int, payload: bytes) -> None:
        """Store the checkpoint of ``step`` and delete all but the newest two.

        Checkpoints of later steps could not be resumed from, or ``step`` would not be written now: they are
        quarantined, so that they do not displace good ones.
        """
        storage = self.files.storage
        storage.write(_path(key, step), HEADER, hashlib.sha256(payload).digest(), payload)
        steps = self._steps(key)
        for later in (known for known in steps if known > step):
            self.files.quarantine(_path(key, later))
        for old in [known for known in steps if known <= step][KEEP:]:
            storage.remove(_path(key, old))

    def read(self, key: str) -> Iterator[bytes]:
        """Yield the payloads, newest first; truncated and damaged files are noted and skipped."""
        for path in [_path(key, step) for step in self._steps(key)]:
            payload = self.files.read(path, partial(self._load, path))
            if payload is not None:
                yield payload

    def delete(self, key: str) -> None:
        """Delete all checkpoints of a trial."""
        self.files.storage.remove_folder(_folder(key))

    def _load(self, path: str) -> bytes:
        return _payload(self.files.storage.read(path))

    def _steps(self, key: str) -> list[int]:
        matches = (_NAME.fullmatch(file.name) for file in self.files.storage.list(_folder(key)))
        return sorted((int(match[1]) for match in matches if match), reverse=True)


def _payload(content: bytes) -> bytes:
    view = memoryview(content)
    start = len(HEADER) + hashlib.sha256().digest_size
    payload = view[start:]
    if view[: len(HEADER)] != HEADER or hashlib.sha256(payload).digest() != view[len(HEADER) : start]:
        raise BrokenFileError("a truncated or damaged checkpoint")
    return bytes(payload)


def _folder(key: str) -> str:
    return f"checkpoints/{key}"


def _path(key: str, step: int) -> str:
    return f"{_folder(key)}/{step:08d}.ckpt"
