"""What killed processes have left in a run directory, and nobody will use."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from results.storage.backends.storage import Storage

STALE_S = 3600.0
"""Age at which an incomplete file is taken for that of a killed writer."""


def incomplete_files(storage: Storage, folders: Sequence[str]) -> Iterator[str]:
    """Yield the paths of the incomplete files of killed writers, in the root and below ``folders``.

    The files of launches are incomplete within their fences, which are removed as a whole.
    """
    yield from _stale(storage, "")
    for folder in folders:
        yield from _below(storage, folder)


def _below(storage: Storage, folder: str) -> Iterator[str]:
    yield from _stale(storage, folder)
    for name in storage.folders(folder):
        yield from _below(storage, f"{folder}/{name}")


def _stale(storage: Storage, folder: str) -> Iterator[str]:
    for file in storage.list(folder, temporary=True):
        if time.time() - file.modified_ns / 1e9 > STALE_S:
            yield f"{folder}/{file.name}" if folder else file.name
