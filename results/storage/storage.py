"""Whole files, written in one step: on a local (or NFS) disk, or on any ``pyarrow.fs`` file system.

A reader sees the old file or the new one, never a part of one, whoever dies when. Nothing is appended to.
"""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pyarrow.fs as pafs

TEMPORARY = ".tmp-"

Item = TypeVar("Item")
T = TypeVar("T")


@dataclass(frozen=True)
class StoredFile:
    """A file as a listing shows it: name within its folder, size in bytes, time in ns since 1970."""

    name: str
    size: int
    modified_ns: int


class Storage(Protocol):
    """What a run directory needs of a disk. Paths are relative, with forward slashes."""

    @property
    def uri(self) -> str:
        """The place as it may be shown: without credentials."""

    @property
    def local(self) -> Path | None:
        """The folder on this machine's file system; None when it is behind a network."""

    def write(self, path: str, *parts: bytes) -> None:
        """Make ``path`` hold the concatenated ``parts``, in one step, folders included."""

    def read(self, path: str) -> bytes:
        """Return the content. Error: ``FileNotFoundError``."""

    def ends(self, path: str, count: int) -> bytes:
        """Return the first and the last ``count`` bytes, joined. Error: ``FileNotFoundError``."""

    def list(self, folder: str, *, temporary: bool = False) -> list[StoredFile]:
        """Return the files in ``folder`` by name, hidden ones left out; or its temporary ones."""

    def exists(self, path: str) -> bool: ...

    def make_folder(self, folder: str) -> None:
        """Make sure that a folder is there, where the storage has folders at all."""

    def remove(self, path: str) -> None:
        """Delete a file, if it is there."""

    def remove_folder(self, folder: str) -> None:
        """Delete a folder and what is in it, if it is there."""

    def move(self, path: str, target: str) -> None:
        """Rename a file, folders of the target included. Error: ``FileNotFoundError``."""

    def arrow(self, folder: str) -> tuple[Any, str]:
        """Return the ``pyarrow.fs`` file system and the path in it of ``folder``."""


@dataclass(frozen=True)
class LocalStorage:
    """A folder on a local or NFS disk: temporary file, fsync, rename, fsync of the folder."""

    root: Path

    @property
    def uri(self) -> str:
        return str(self.root)

    @property
    def local(self) -> Path | None:
        return self.root

    def write(self, path: str, *parts: bytes) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.parent / f"{TEMPORARY}{uuid.uuid4().hex}"
        try:
            with temporary.open("xb") as file:
                for part in parts:
                    file.write(part)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(target.parent)

    def read(self, path: str) -> bytes:
        try:
            return (self.root / path).read_bytes()
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
            return (self.root / path).read_bytes()  # NFS: replaced by another host while it was read

    def ends(self, path: str, count: int) -> bytes:
        with (self.root / path).open("rb", buffering=0) as file:
            head = file.read(count)
            file.seek(max(0, os.fstat(file.fileno()).st_size - count))
            return head + file.read(count)

    def list(self, folder: str, *, temporary: bool = False) -> list[StoredFile]:
        try:
            entries = sorted(os.scandir(self.root / folder), key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return []
        found = []
        for entry in entries:
            if not is_wanted(entry.name, temporary):
                continue
            try:
                if entry.is_file():
                    status = entry.stat()
                    found.append(StoredFile(entry.name, status.st_size, status.st_mtime_ns))
            except FileNotFoundError:  # renamed or deleted since the folder was listed
                continue
        return found

    def exists(self, path: str) -> bool:
        return (self.root / path).exists()

    def make_folder(self, folder: str) -> None:
        (self.root / folder).mkdir(parents=True, exist_ok=True)

    def remove(self, path: str) -> None:
        (self.root / path).unlink(missing_ok=True)

    def remove_folder(self, folder: str) -> None:
        shutil.rmtree(self.root / folder, ignore_errors=True)

    def move(self, path: str, target: str) -> None:
        (self.root / target).parent.mkdir(parents=True, exist_ok=True)
        os.replace(self.root / path, self.root / target)
        _sync_folder((self.root / path).parent)

    def arrow(self, folder: str) -> tuple[Any, str]:
        return pafs.LocalFileSystem(), str(self.root / folder)


def map_concurrently(storage: Storage, act: Callable[[Item], T], items: Iterable[Item]) -> list[T]:
    """Return ``act`` of each of ``items``, in their order: of several at once, and over a network of many."""
    items = list(items)
    if len(items) < 2:
        return [act(item) for item in items]
    threads = min(8, os.cpu_count() or 1) if storage.local is not None else 32
    with ThreadPoolExecutor(min(threads, len(items))) as pool:
        return list(pool.map(act, items))


def is_wanted(name: str, temporary: bool) -> bool:
    """Say whether a listing shows a file of this name: all but hidden ones, or only writers' temporary ones."""
    return name.startswith(TEMPORARY) if temporary else not name.startswith(".")


def _sync_folder(folder: Path) -> None:
    """Flush the renaming itself to the disk; file systems that cannot do it (some NFS) need not."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)
