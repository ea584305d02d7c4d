"""Runs on any ``pyarrow.fs`` file system: object stores, HDFS, and whatever fsspec reaches."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.fs as pafs
from typing_extensions import override

from results.errors import ResultsError, one_line
from results.paths import local_path
from results.storage.backends.conditional_puts import ConditionalPuts, conditional_puts
from results.storage.backends.credentials import without_credentials, without_secrets
from results.storage.backends.fence import Fence, RecentCheck
from results.storage.backends.storage import (
    TEMPORARY,
    LocalStorage,
    Storage,
    StoredFile,
    check_size,
    is_listed,
    lost_fence,
)

OBJECT_STORES = {"s3", "s3a", "gcs", "gs", "abfs", "az"}
"""Types of file systems on which one put is atomic and a move is a copy."""


def open_storage(path: str | os.PathLike[str], filesystem: pafs.FileSystem | None = None) -> Storage:
    """Return the storage at a local path, a ``pyarrow.fs`` URI, or a path in an explicit ``filesystem``.

    Credentials in a URI are used but never shown.

    Raises:
        ResultsError: ``pyarrow.fs`` cannot open the URI.
    """
    text = os.fspath(path)
    shown = without_credentials(text).rstrip("/")
    if filesystem is None and "://" in text:
        try:
            filesystem, inner = pafs.FileSystem.from_uri(text)
        except (pa.ArrowException, OSError) as error:
            reason = without_secrets(one_line(error), text)
            raise ResultsError(
                f"a run must be a path or a URI that pyarrow.fs opens, but got {shown!r}: {reason}"
            ) from None
        if isinstance(filesystem, pafs.LocalFileSystem):
            return LocalStorage(Path(inner))
        return RemoteStorage(filesystem, inner.rstrip("/"), shown)
    if filesystem is None or isinstance(filesystem, pafs.LocalFileSystem):
        return LocalStorage(local_path(text).absolute())
    return RemoteStorage(filesystem, text.rstrip("/"), shown)


def split_uri(uri: str) -> tuple[str, str]:
    """Split a URI before its query, which keeps its question mark; a local path has no query.

    >>> split_uri("s3://bucket/runs/x?region=eu-west-1")
    ('s3://bucket/runs/x', '?region=eu-west-1')
    """
    path, mark, query = uri.partition("?") if "://" in uri else (uri, "", "")
    return path, mark + query


@dataclass(frozen=True)
class RemoteStorage(Storage):
    """A folder of any ``pyarrow.fs`` file system.

    A write is one put on an object store, and a temporary file and a rename elsewhere. ``shown`` is the URI without
    credentials. ``puts`` are used inside a fence; None: not opened yet, or the store has no conditional puts.
    """

    filesystem: pafs.FileSystem
    root: str
    shown: str
    fence: Fence | None = None
    puts: ConditionalPuts | None = None
    _recent: RecentCheck = field(default_factory=RecentCheck, repr=False, compare=False)

    @property
    @override
    def uri(self) -> str:
        return self.shown

    @property
    @override
    def local(self) -> None:
        return None

    @override
    def within(self, fence: Fence) -> RemoteStorage:
        return replace(self, fence=fence, _recent=RecentCheck())

    @override
    def open(self, fence: Fence) -> RemoteStorage:
        self._check_fence()
        mark = fence.marks[0]
        try:
            if not _puts_atomically(self.filesystem):
                self.filesystem.create_dir(self._absolute(fence.path), recursive=fence.trial is None)
            self._put(self._absolute(mark), [b""])
        except FileNotFoundError:
            if self.fence is None:
                raise
            raise lost_fence(self) from None
        puts = self.puts or conditional_puts(self.filesystem, self.root, proven_by=mark)
        return replace(self.within(fence), puts=puts)

    @property
    @override
    def caveat(self) -> str | None:
        if self.puts is not None or not _puts_atomically(self.filesystem):
            return None
        return (
            "this object store takes no conditional puts from here: a put that arrives after another launch has "
            "taken the run over may replace one of its files"
        )

    @override
    def write(self, path: str, *parts: bytes) -> None:
        self._check_fence()
        target = self._absolute(path)
        if self.fence is not None and self.puts is not None:
            if not self.puts.replace(path, b"".join(parts), self.fence):
                raise lost_fence(self)
            return
        if _puts_atomically(self.filesystem):
            self._put(target, parts)
            return
        folder = PurePosixPath(target).parent
        if self.fence is not None and str(folder.parent) != self.root:
            self.filesystem.create_dir(str(folder))
        elsewhere = folder if self.fence is None else PurePosixPath(self._absolute(self.fence.path))
        temporary = str(elsewhere / f"{TEMPORARY}{uuid.uuid4().hex}")
        try:
            self._put(temporary, parts)
            self.filesystem.move(temporary, target)
        except FileNotFoundError:
            if self.fence is None:
                raise
            raise lost_fence(self) from None

    def _check_fence(self) -> None:
        """Raise ``LostLeaseError`` if there was a fence, and it is gone."""
        fence = self.fence
        if fence is not None and not self._recent.exists(lambda: all(map(self.exists, fence.marks))):
            raise lost_fence(self)

    def _put(self, target: str, parts: Iterable[bytes]) -> None:
        content = b"".join(parts)  # a single write: only the store can fail half-way
        try:
            stream = self.filesystem.open_output_stream(target)
        except FileNotFoundError:  # a folder is missing, on a file system that has folders
            if self.fence is not None:
                raise
            self.filesystem.create_dir(str(PurePosixPath(target).parent), recursive=True)
            stream = self.filesystem.open_output_stream(target)
        with stream:
            stream.write(content)

    @override
    def read(self, path: str, *, limit: int | None = None) -> bytes:
        with self.filesystem.open_input_file(self._absolute(path)) as file:
            check_size(file.size(), limit)
            return bytes(file.read())

    @override
    def ends(self, path: str, count: int) -> bytes:
        with self.filesystem.open_input_file(self._absolute(path)) as file:
            head = file.read(count)
            file.seek(max(0, file.size() - count))
            return bytes(head + file.read(count))

    @override
    def list(self, folder: str, *, temporary: bool = False) -> list[StoredFile]:
        selector = pafs.FileSelector(self._absolute(folder), allow_not_found=True)
        found = [
            StoredFile(info.base_name, info.size or 0, info.mtime_ns or 0)
            for info in self.filesystem.get_file_info(selector)
            if info.type == pafs.FileType.File and is_listed(info.base_name, temporary)
        ]
        return sorted(found, key=lambda file: file.name)

    @override
    def folders(self, folder: str) -> set[str]:
        selector = pafs.FileSelector(self._absolute(folder), allow_not_found=True)
        found = self.filesystem.get_file_info(selector)
        return {info.base_name for info in found if info.type == pafs.FileType.Directory}

    @override
    def exists(self, path: str) -> bool:
        kind = self.filesystem.get_file_info(self._absolute(path)).type
        return bool(kind != pafs.FileType.NotFound)

    @override
    def make_folder(self, folder: str) -> None:
        self._check_fence()
        if not _puts_atomically(self.filesystem):
            self.filesystem.create_dir(self._absolute(folder), recursive=True)

    @override
    def remove(self, path: str) -> None:
        self._check_fence()
        if self.exists(path):
            self.filesystem.delete_file(self._absolute(path))

    @override
    def remove_folder(self, folder: str) -> None:
        self._check_fence()
        if self.exists(folder):
            self.filesystem.delete_dir(self._absolute(folder))

    @override
    def move(self, path: str, target: str) -> None:
        self.make_folder(str(PurePosixPath(target).parent))
        self.filesystem.move(self._absolute(path), self._absolute(target))

    @override
    def arrow(self, path: str) -> tuple[pafs.FileSystem, str]:
        return self.filesystem, self._absolute(path)

    def _absolute(self, path: str) -> str:
        return "/".join(part for part in (self.root, path) if part)


def _puts_atomically(filesystem: pafs.FileSystem) -> bool:
    while isinstance(filesystem, pafs.SubTreeFileSystem):
        filesystem = filesystem.base_fs
    return filesystem.type_name.split("::")[-1].split("+")[-1] in OBJECT_STORES
