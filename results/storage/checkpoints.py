"""Checkpoint files: the newest two of each trial, every file with its own checksum."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from results.errors import BrokenFileError
from results.storage.backends.storage import lost_fence, token_of
from results.storage.checked_files import CheckedFiles

HEADER = b"shrinksweep checkpoint 1\n"
KEEP = 2
"""Checkpoints kept of each trial."""

FOLDER = "checkpoints"

_NAME = re.compile(r"(\d{8,})(?:-(\d{8,}))?\.ckpt")


class _Version(NamedTuple):
    """Which of two checkpoints is newer: the one of the later launch, or else the one of the later step."""

    token: int
    step: int

    @property
    def name(self) -> str:
        return f"{self.step:08d}-{self.token:08d}.ckpt" if self.token else f"{self.step:08d}.ckpt"


@dataclass(frozen=True)
class Checkpoints:
    """``checkpoints/<key>/<step>-<token of the launch>.ckpt``: header, SHA-256 of the payload, payload.

    Checkpoints of earlier versions, and those that are written outside of a fence, have no token in their names.
    """

    files: CheckedFiles

    def write(self, key: str, step: int, payload: bytes) -> None:
        """Store the checkpoint of ``step`` and delete all but the newest two.

        Checkpoints of later steps could not be resumed from, or ``step`` would not be written now: they are
        quarantined, so that they do not displace good ones.

        Raises:
            LostLeaseError: a later launch has written a checkpoint.
        """
        storage = self.files.storage
        known = self._versions(key)
        newest = max((version.token for version in known), default=0)
        own = _Version(token_of(storage) or newest, step)
        if newest > own.token:
            raise lost_fence(storage)
        versions = sorted({*known, own}, reverse=True)
        storage.write(_path(key, own), HEADER, hashlib.sha256(payload).digest(), payload)
        for later in (version for version in versions if version.step > step):
            self.files.quarantine(_path(key, later))
        for old in [version for version in versions if version.step <= step][KEEP:]:
            storage.remove(_path(key, old))

    def read(self, key: str) -> Iterator[bytes]:
        """Yield the payloads, newest first; truncated and damaged files are noted and skipped."""
        for path in [_path(key, version) for version in self._versions(key)]:
            payload = self.files.read(path, partial(self._load, path))
            if payload is not None:
                yield payload

    def keys(self) -> set[str]:
        """Return every key that has a folder."""
        return self.files.storage.folders(FOLDER)

    def delete(self, key: str) -> None:
        """Delete all checkpoints of a trial."""
        self.files.storage.remove_folder(_folder(key))

    def _load(self, path: str) -> bytes:
        return _payload(self.files.storage.read(path))

    def _versions(self, key: str) -> list[_Version]:
        """Return the stored versions, newest first."""
        matches = (_NAME.fullmatch(file.name) for file in self.files.storage.list(_folder(key)))
        return sorted((_Version(int(m[2] or 0), int(m[1])) for m in matches if m), reverse=True)


def _payload(content: bytes) -> bytes:
    view = memoryview(content)
    start = len(HEADER) + hashlib.sha256().digest_size
    payload = view[start:]
    if view[: len(HEADER)] != HEADER or hashlib.sha256(payload).digest() != view[len(HEADER) : start]:
        raise BrokenFileError("a truncated or damaged checkpoint")
    return bytes(payload)


def _folder(key: str) -> str:
    return f"{FOLDER}/{key}"


def _path(key: str, version: _Version) -> str:
    return f"{_folder(key)}/{version.name}"
