"""Whole files, replaced atomically, on a local or NFS disk.

A reader sees the old file or the new one, never a part of one, whenever the writer dies. Nothing is appended to.
``remote_storage`` does the same on any ``pyarrow.fs`` file system. Inside a fence, nothing is changed once it is gone.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

import pyarrow.fs as pafs
from typing_extensions import override

from results.errors import BrokenFileError, LostLeaseError
from results.storage.backends.fence import Fence

TEMPORARY = ".tmp-"
"""Prefix of files that are not complete yet."""

FileVersion = tuple[int, int]
"""Size in bytes and modification time in ns: they differ when a file has been replaced."""

Item = TypeVar("Item")
T = TypeVar("T")


class StoredFile(NamedTuple):
    """A file in a listing: name within its folder, size in bytes, modification time in ns since 1970."""

    name: str
    size: int
    modified_ns: int

    @property
    def version(self) -> FileVersion:
        """Size and modification time."""
        return self.size, self.modified_ns


class Storage(Protocol):
    """What a run directory needs of a disk. Paths are relative, with forward slashes.

    Inside a fence, every change raises ``LostLeaseError`` once the fence is gone, and ``write`` does not create folders
    directly below the root: one that is missing was removed.
    """

    @property
    def uri(self) -> str:
        """Path or URI for display, without credentials."""

    @property
    def local(self) -> Path | None:
        """The folder on this machine's file system; None for remote storage."""

    @property
    def fence(self) -> Fence | None:
        """The fence inside which this storage changes files; None: no one else writes."""

    def within(self, fence: Fence) -> Storage:
        """Return the same storage inside a fence."""

    def open(self, fence: Fence) -> Storage:
        """Set up a fence, and return the same storage inside it. The fence of an attempt needs that of its launch."""

    @property
    def caveat(self) -> str | None:
        """What a fence cannot keep a late writer from here, in one line; None: it keeps him from everything."""
        return None

    def write(self, path: str, *parts: bytes) -> None:
        """Atomically replace the content of ``path`` by the concatenated ``parts``; creates folders."""

    def read(self, path: str, *, limit: int | None = None) -> bytes:
        """Return the content of a file, which may have ``limit`` bytes.

        Raises:
            FileNotFoundError: there is no such file.
            BrokenFileError: it has more bytes.
        """

    def ends(self, path: str, count: int) -> bytes:
        """Return the first and the last ``count`` bytes of a file, joined.

        Raises:
            FileNotFoundError: there is no such file.
        """

    def list(self, folder: str, *, temporary: bool = False) -> list[StoredFile]:
        """Return the files in ``folder`` by name: the visible ones, or with ``temporary`` the incomplete ones."""

    def folders(self, folder: str) -> set[str]:
        """Return the names of the folders in ``folder``, hidden ones included."""

    def exists(self, path: str) -> bool:
        """Whether a file or folder exists."""

    def make_folder(self, folder: str) -> None:
        """Create a folder if it is missing; object stores have no folders."""

    def remove(self, path: str) -> None:
        """Delete a file if it exists."""

    def remove_folder(self, folder: str) -> None:
        """Delete a folder and its content if it exists."""

    def move(self, path: str, target: str) -> None:
        """Rename a file; creates the folders of the target.

        Raises:
            FileNotFoundError: there is no such file.
        """

    def arrow(self, path: str) -> tuple[pafs.FileSystem, str]:
        """Return the ``pyarrow.fs`` file system, and ``path`` as a path in it."""


@dataclass(frozen=True)
class LocalStorage(Storage):
    """A folder on a local or NFS disk. A write is: temporary file, fsync, rename, fsync of the folder."""

    root: Path
    fence: Fence | None = None

    @property
    @override
    def uri(self) -> str:
        return str(self.root)

    @property
    @override
    def local(self) -> Path | None:
        return self.root

    @override
    def within(self, fence: Fence) -> LocalStorage:
        return replace(self, fence=fence)

    @override
    def open(self, fence: Fence) -> LocalStorage:
        if fence.trial is None:
            self.write(fence.marks[0], b"")
        else:
            try:
                (self.root / fence.path).mkdir()
            except FileNotFoundError:
                raise lost_fence(self) from None
        return self.within(fence)

    @override
    def write(self, path: str, *parts: bytes) -> None:
        target = self.root / path
        temporary = self._beside(target) / f"{TEMPORARY}{uuid.uuid4().hex}"
        try:
            with temporary.open("xb") as file:
                for part in parts:
                    file.write(part)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException as error:
            temporary.unlink(missing_ok=True)
            if isinstance(error, FileNotFoundError) and self.fence is not None:
                raise lost_fence(self) from None
            raise
        _sync_folder(target.parent)

    def _beside(self, target: Path) -> Path:
        """Return the folder in which ``target`` is written before it is renamed: the fence, if there is one.

        The parent of ``target`` exists afterwards. It may be a link to another disk, onto which nothing can be renamed.
        """
        if self.fence is None:
            target.parent.mkdir(parents=True, exist_ok=True)
            return target.parent
        inside = self.root / self.fence.path
        try:
            disk = inside.stat().st_dev
            if not target.parent.exists() and target.parent.parent != self.root:
                target.parent.mkdir(exist_ok=True)
            return inside if target.parent.stat().st_dev == disk else target.parent
        except FileNotFoundError:
            raise lost_fence(self) from None

    def _check_fence(self) -> None:
        """Raise ``LostLeaseError`` if there was a fence, and it is gone."""
        if self.fence is not None and not (self.root / self.fence.path).exists():
            raise lost_fence(self)

    @override
    def read(self, path: str, *, limit: int | None = None) -> bytes:
        absolute = f"{self.root}/{path}"  # joining paths takes as long as reading a small file
        try:
            return _read(absolute, limit)
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
            return _read(absolute, limit)  # NFS: another host replaced the file during the read

    @override
    def ends(self, path: str, count: int) -> bytes:
        handle, size = _open(f"{self.root}/{path}")
        try:
            return os.pread(handle, count, 0) + os.pread(handle, count, max(0, size - count))
        finally:
            os.close(handle)

    @override
    def list(self, folder: str, *, temporary: bool = False) -> list[StoredFile]:
        try:
            entries = list(os.scandir(self.root / folder))
        except (FileNotFoundError, NotADirectoryError):
            return []
        found = []
        for entry in entries:
            if not is_listed(entry.name, temporary):
                continue
            try:
                if entry.is_file():
                    status = entry.stat()
                    found.append(StoredFile(entry.name, status.st_size, status.st_mtime_ns))
            except FileNotFoundError:  # renamed or deleted after the folder was listed
                continue
        return sorted(found)

    @override
    def folders(self, folder: str) -> set[str]:
        try:
            return {entry.name for entry in os.scandir(self.root / folder) if entry.is_dir()}
        except (FileNotFoundError, NotADirectoryError):
            return set()

    @override
    def exists(self, path: str) -> bool:
        return (self.root / path).exists()

    @override
    def make_folder(self, folder: str) -> None:
        self._check_fence()
        (self.root / folder).mkdir(parents=True, exist_ok=True)

    @override
    def remove(self, path: str) -> None:
        self._check_fence()
        (self.root / path).unlink(missing_ok=True)

    @override
    def remove_folder(self, folder: str) -> None:
        self._check_fence()
        try:
            os.rmdir(self.root / folder)
        except OSError:  # not empty
            shutil.rmtree(self.root / folder, ignore_errors=True)

    @override
    def move(self, path: str, target: str) -> None:
        self._check_fence()
        (self.root / target).parent.mkdir(parents=True, exist_ok=True)
        os.replace(self.root / path, self.root / target)
        _sync_folder((self.root / path).parent)

    @override
    def arrow(self, path: str) -> tuple[pafs.FileSystem, str]:
        return pafs.LocalFileSystem(), str(self.root / path)


def token_of(storage: Storage) -> int:
    """Return the token of the fence inside which a storage changes files; 0 without a fence."""
    return 0 if storage.fence is None else storage.fence.token


def lost_fence(storage: Storage) -> LostLeaseError:
    """Return the error of a change outside of an existing fence."""
    return LostLeaseError(
        f"a process must hold the lease of a run to change it, but that of {storage.uri} is gone"
    )


def whole(storage: Storage, load: Callable[[], T]) -> T:
    """Return what ``load`` makes of a file; if it is broken in an object store, look again.

    There a read asks for the size first. A file that grows before the next request arrives without its end.
    """
    for _ in range(LOOKS - 1 if storage.local is None else 0):
        with suppress(BrokenFileError):
            return load()
    return load()


LOOKS = 3


def map_concurrently(storage: Storage, function: Callable[[Item], T], items: Iterable[Item]) -> list[T]:
    """Return ``function`` of each of ``items``, in order; in up to 8 threads on a local disk, 32 over a network.

    On a local disk, a thread takes several items at a time: to hand one over takes as long as to read a small file.
    """
    items = list(items)
    threads, size = (min(8, _cpus()), 32) if storage.local is not None else (32, 1)
    if threads == 1 or len(items) < 2:
        return [function(item) for item in items]
    chunks = [items[start : start + size] for start in range(0, len(items), size)]
    with ThreadPoolExecutor(min(threads, len(chunks))) as pool:
        done = pool.map(lambda chunk: [function(item) for item in chunk], chunks)
        return [result for results in done for result in results]


def _cpus() -> int:
    """Return the number of CPUs that this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed is not None else os.cpu_count() or 1


def is_listed(name: str, temporary: bool) -> bool:
    """Whether a listing shows a file of this name: visible files, or with ``temporary`` only incomplete ones."""
    return name.startswith(TEMPORARY) if temporary else not name.startswith(".")


def check_size(size: int, limit: int | None) -> None:
    """Check that a file is not larger than ``limit`` bytes.

    Raises:
        BrokenFileError: it is.
    """
    if limit is not None and size > limit:
        raise BrokenFileError(f"it must have at most {limit:,} bytes, but has more")


def _read(path: str, limit: int | None) -> bytes:
    handle, size = _open(path)
    try:
        check_size(size, limit)
        parts = [os.read(handle, size + 1)]
        while len(parts[0]) != size and parts[-1]:  # one read takes at most 2 GB
            parts.append(os.read(handle, size + 1))
    finally:
        os.close(handle)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _open(path: str) -> tuple[int, int]:
    """Open a regular file for reading; return its handle and size. A pipe would make its reader wait without end.

    Raises:
        BrokenFileError: it is no regular file.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    status = os.fstat(handle)
    if stat.S_ISREG(status.st_mode):
        return handle, status.st_size
    os.close(handle)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    raise BrokenFileError("not a regular file")


def _sync_folder(folder: Path) -> None:
    """Flush a rename to the disk; skipped on file systems that cannot sync a folder (some NFS)."""
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
