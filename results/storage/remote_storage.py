"""Runs on any ``pyarrow.fs`` file system: object stores, HDFS, and whatever fsspec reaches."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pyarrow as pa
import pyarrow.fs as pafs

from results.errors import ResultsError
from results.storage.storage import TEMPORARY, LocalStorage, Storage, StoredFile, is_wanted

OBJECT_STORES = {"s3", "s3a", "gcs", "gs", "abfs", "az"}
"""Types of file systems on which one put is atomic, and on which moving is copying."""


def open_storage(path: str | os.PathLike[str], filesystem: Any = None) -> Storage:
    """Return the storage at a local path, a ``pyarrow.fs`` URI, or a path in an explicit ``filesystem``.

    Credentials in a URI are used, and never shown. Error: ``ResultsError`` for a URI that ``pyarrow.fs`` does not
    know.
    """
    text = os.fspath(path)
    shown = without_credentials(text).rstrip("/")
    if filesystem is None and "://" in text:
        try:
            filesystem, inner = pafs.FileSystem.from_uri(text)
        except (pa.ArrowException, OSError) as error:
            reason = str(error).replace(text, shown)
            raise ResultsError(
                f"a run must be a path or a URI that pyarrow.fs opens, but got {shown!r}: {reason}"
            ) from None
        if isinstance(filesystem, pafs.LocalFileSystem):
            return LocalStorage(Path(inner))
        return RemoteStorage(filesystem, inner.rstrip("/"), shown)
    if filesystem is None or isinstance(filesystem, pafs.LocalFileSystem):
        return LocalStorage(Path(text).expanduser().absolute())
    return RemoteStorage(filesystem, text.rstrip("/"), shown)


def without_credentials(uri: str) -> str:
    """Return a URI without user, password, and whatever its query calls a key, token, secret or signature.

    >>> without_credentials("s3://AKIA:hush@bucket/runs/x?region=eu-west-1&session_token=hush")
    's3://bucket/runs/x?region=eu-west-1&session_token=***'
    """
    if "://" not in uri:
        return uri
    parts = urlsplit(uri)
    pairs = (pair.partition("=") for pair in parts.query.split("&") if pair)
    query = "&".join(f"{name}={'***' if _SECRET.search(name) else value}" for name, _, value in pairs)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=query))


def split_uri(uri: str) -> tuple[str, str]:
    """Return a URI up to its query, and the query with its question mark; a local path has none.

    >>> split_uri("s3://bucket/runs/x?region=eu-west-1")
    ('s3://bucket/runs/x', '?region=eu-west-1')
    """
    path, mark, query = uri.partition("?") if "://" in uri else (uri, "", "")
    return path, mark + query


_SECRET = re.compile(r"key|token|secret|password|sig", re.IGNORECASE)


@dataclass(frozen=True)
class RemoteStorage:
    """A folder of any ``pyarrow.fs`` file system: one put on object stores, elsewhere file and rename."""

    filesystem: Any
    root: str
    uri: str
    local: None = None

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
            if info.type == pafs.FileType.File and is_wanted(info.base_name, temporary)
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


def _puts_atomically(filesystem: Any) -> bool:
    while isinstance(filesystem, pafs.SubTreeFileSystem):
        filesystem = filesystem.base_fs
    return filesystem.type_name.split("::")[-1].split("+")[-1] in OBJECT_STORES
