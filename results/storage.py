"""Whole files, written in one step: on a local (or NFS) disk, or on any ``pyarrow.fs`` file system.

A reader sees the old file or the new one, never a part of one, whoever dies when. Nothing is ever appended
to.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.fs as pafs

from results.errors import ResultsError

TEMPORARY = ".tmp-"
OBJECT_STORES = {"s3", "s3a", "gcs", "gs", "abfs", "az"}
"""Types of file systems on which one put is atomic, and on which moving is copying."""


@dataclass(frozen=True)
class StoredFile:
    """A file as a listing shows it: ``name`` within its folder, ``size`` in bytes, ``modified_ns`` since
    1970.
    """

    name: str
    size: int
    modified_ns: int


class Storage(Protocol):
    """What a run directory needs of a disk. Paths are relative, with forward slashes."""

    @property
    def uri(self) -> str: ...

    def write(self, path: str, *parts: bytes) -> None:
        """Make ``path`` hold the concatenated ``parts``, in one step, folders included."""

    def read(self, path: str) -> bytes:
        """Return the content. Error: ``FileNotFoundError``."""

    def ends(self, path: str, count: int) -> bytes:
        """Return the first and the last ``count`` bytes, joined. Error: ``FileNotFoundError``."""

    def list(self, folder: str, *, temporary: bool = False) -> list[StoredFile]:
        """Return the files in ``folder`` by name, without folders and hidden files; or else its temporary
        files.
        """

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


def open_storage(path: str | os.PathLike[str], filesystem: Any = None) -> Storage:
    """Return the storage at a local path, a ``pyarrow.fs`` URI, or a path in an explicit ``filesystem``.

    Error: ``ResultsError`` for a URI that ``pyarrow.fs`` does not know.
    """
    text = os.fspath(path)
    if filesystem is None and "://" in text:
        try:
            filesystem, inner = pafs.FileSystem.from_uri(text)
        except (pa.ArrowException, OSError) as error:
            raise ResultsError(
                f"a run must be a path or a URI that pyarrow.fs opens, but got {text!r}: {error}"
            ) from error
        if isinstance(filesystem, pafs.LocalFileSystem):
            return LocalStorage(Path(inner))
        return RemoteStorage(filesystem, inner.rstrip("/"), text.rstrip("/"))
    if filesystem is None or isinstance(filesystem, pafs.LocalFileSystem):
        return LocalStorage(Path(text).expanduser().absolute())
    return RemoteStorage(filesystem, text.rstrip("/"), text.rstrip("/"))


@dataclass(frozen=True)
class LocalStorage:
    """A folder on a local or NFS disk: temporary file, fsync, rename, fsync of the folder."""

    root: Path

    @property
    def uri(self) -> str:
        return str(self.root)

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
        return (self.root / path).read_bytes()

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
            if not _wanted(entry.name, temporary):
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


@dataclass(frozen=True)
class RemoteStorage:
    """A folder of any ``pyarrow.fs`` file system: one put on object stores, elsewhere temporary file and
    rename.
    """

    filesystem: Any
    root: str
    uri: str

    def write(self, path: str, *parts: bytes) -> None:
        target = self._inside(path)
        if _puts_atomically(self.filesystem):
            self._put(target, parts)
            return
        temporary = str(PurePosixPath(target).parent / f"{TEMPORARY}{uuid.uuid4().hex}")
        self._put(temporary, parts)
        self.filesystem.move(temporary, target)

    def _put(self, target: str, parts: Iterable[bytes]) -> None:
        content = b"".join(
            parts
        )  # one write: nothing can fail between the first byte and the last but the store
        try:
            stream = self.filesystem.open_output_stream(target)
        except FileNotFoundError:  # object stores have no folders to be made
            self.filesystem.create_dir(str(PurePosixPath(target).parent), recursive=True)
            stream = self.filesystem.open_output_stream(target)
        with stream:
            stream.write(content)

    def read(self, path: str) -> bytes:
        with self.filesystem.open_input_stream(self._inside(path), compression=None) as stream:
            return bytes(stream.read())

    def ends(self, path: str, count: int) -> bytes:
        with self.filesystem.open_input_file(self._inside(path)) as file:
            head = file.read(count)
            file.seek(max(0, file.size() - count))
            return bytes(head + file.read(count))

    def list(self, folder: str, *, temporary: bool = False) -> list[StoredFile]:
        selector = pafs.FileSelector(self._inside(folder), allow_not_found=True)
        found = [
            StoredFile(info.base_name, info.size or 0, info.mtime_ns or 0)
            for info in self.filesystem.get_file_info(selector)
            if info.type == pafs.FileType.File and _wanted(info.base_name, temporary)
        ]
        return sorted(found, key=lambda file: file.name)

    def exists(self, path: str) -> bool:
        kind = self.filesystem.get_file_info(self._inside(path)).type
        return bool(kind != pafs.FileType.NotFound)

    def make_folder(self, folder: str) -> None:
        if not _puts_atomically(self.filesystem):
            self.filesystem.create_dir(self._inside(folder), recursive=True)

    def remove(self, path: str) -> None:
        if self.exists(path):
            self.filesystem.delete_file(self._inside(path))

    def remove_folder(self, folder: str) -> None:
        if self.exists(folder):
            self.filesystem.delete_dir(self._inside(folder))

    def move(self, path: str, target: str) -> None:
        self.make_folder(str(PurePosixPath(target).parent))
        self.filesystem.move(self._inside(path), self._inside(target))

    def arrow(self, folder: str) -> tuple[Any, str]:
        return self.filesystem, self._inside(folder)

    def _inside(self, path: str) -> str:
        return "/".join(part for part in (self.root, path) if part)


def _wanted(name: str, temporary: bool) -> bool:
    return name.startswith(TEMPORARY) if temporary else not name.startswith(".")


def _puts_atomically(filesystem: Any) -> bool:
    while isinstance(filesystem, pafs.SubTreeFileSystem):
        filesystem = filesystem.base_fs
    return filesystem.type_name.split("::")[-1].split("+")[-1] in OBJECT_STORES


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
