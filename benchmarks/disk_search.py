"""Searches what a launch has left on the disks of this machine for texts that must not be there."""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

OWN_FILES = ("/proc", "/sys")
"""File systems of the kernel, which are on no disk."""


def files_with(texts: Iterable[str], folder: Path, since: float) -> list[Path]:
    """Return the files in ``folder`` that hold one of ``texts``, and were changed after ``since``.

    Args:
        texts: ASCII texts.
        folder: searched with all folders in it.
        since: in seconds since 1970.
    """
    wanted = [text.encode() for text in texts]
    return [path for path in _changed_files(folder, since) if _holds(path, wanted)]


def _changed_files(folder: Path, since: float) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if os.path.join(parent, name) not in OWN_FILES]
        for name in names:
            path = Path(parent, name)
            try:
                status = path.lstat()
            except OSError:  # deleted meanwhile
                continue
            if stat.S_ISREG(status.st_mode) and status.st_ctime >= since and status.st_size:
                yield path


def _holds(path: Path, texts: Iterable[bytes]) -> bool:
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return any(content.find(text) >= 0 for text in texts)
    except (OSError, ValueError):  # deleted or emptied meanwhile
        return False
