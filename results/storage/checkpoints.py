"""Checkpoint files of one trial: the newest two, each with its own checksum."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterator

from results.storage.problems import Problems
from results.storage.storage import Storage

HEADER = b"shrinksweep checkpoint 1\n"
KEPT = 2

_NAME = re.compile(r"(\d{8,})\.ckpt")


def write(storage: Storage, key: str, step: int, payload: bytes) -> None:
    """Store the checkpoint of ``step`` and delete all but the newest two.

    Checkpoints of later steps can only be ones that could not be resumed from: they are set aside, so that
    they never push out a good one.
    """
    storage.write(_path(key, step), HEADER, hashlib.sha256(payload).digest(), payload)
    steps = _steps(storage, key)
    for later in (known for known in steps if known > step):
        storage.move(_path(key, later), f"quarantine/{_path(key, later)}.{uuid.uuid4().hex[:8]}")
    for old in [known for known in steps if known <= step][KEPT:]:
        storage.remove(_path(key, old))


def read(storage: Storage, key: str, problems: Problems) -> Iterator[bytes]:
    """Yield the payloads, newest good one first; truncated and damaged ones are noted and skipped."""
    for step in _steps(storage, key):
        path = _path(key, step)
        try:
            content = memoryview(storage.read(path))
        except FileNotFoundError:
            continue
        body = len(HEADER) + hashlib.sha256().digest_size
        payload = content[body:]
        if (
            content[: len(HEADER)] != HEADER
            or hashlib.sha256(payload).digest() != content[len(HEADER) : body]
        ):
            problems.note(path, "a truncated or damaged checkpoint")
            continue
        problems.clear(path)
        yield bytes(payload)


def delete(storage: Storage, key: str) -> None:
    """Delete all checkpoints of a trial: it is finished."""
    storage.remove_folder(_folder(key))


def _steps(storage: Storage, key: str) -> list[int]:
    matches = (_NAME.fullmatch(file.name) for file in storage.list(_folder(key)))
    return sorted((int(match[1]) for match in matches if match), reverse=True)


def _folder(key: str) -> str:
    return f"checkpoints/{key}"


def _path(key: str, step: int) -> str:
    return f"{_folder(key)}/{step:08d}.ckpt"
