"""Storage for runs in tests: a local folder, a remote file system, an object store."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.fs as pafs
from pyarrow.fs import FileInfo, FileType


class ObjectStore(pafs.FileSystemHandler):  # type: ignore[misc]  # pyarrow is untyped
    """An object store in memory: without folders; an object appears, complete, when its stream is closed.

    After ``fail_after`` puts the next one fails half-way, as if the connection was lost.
    """

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, datetime]] = {}
        self.fail_after: int | None = None
        self.moves = 0

    def put(self, path: str, content: bytes) -> None:
        if self.fail_after is not None:
            self.fail_after -= 1
            if self.fail_after < 0:
                raise OSError("connection lost")
        self.objects[path] = (content, datetime.now(UTC))

    def get_type_name(self) -> str:
        return "s3"

    def normalize_path(self, path: str) -> str:
        return path

    def get_file_info(self, paths: list[str]) -> list[FileInfo]:
        return [self._info(path) for path in paths]

    def _info(self, path: str) -> FileInfo:
        if path in self.objects:
            content, time = self.objects[path]
            return FileInfo(path, FileType.File, size=len(content), mtime=time)
        is_folder = any(name.startswith(f"{path}/") for name in self.objects)
        return FileInfo(path, FileType.Directory if is_folder else FileType.NotFound)

    def get_file_info_selector(self, selector: pafs.FileSelector) -> list[FileInfo]:
        prefix = f"{selector.base_dir}/"
        children = {
            prefix + name[len(prefix) :].partition("/")[0] for name in self.objects if name.startswith(prefix)
        }
        if not children and not selector.allow_not_found:
            raise FileNotFoundError(selector.base_dir)
        return [self._info(child) for child in sorted(children)]

    def open_input_stream(self, path: str) -> pa.BufferReader:
        return pa.BufferReader(self._content(path))

    def open_input_file(self, path: str) -> pa.BufferReader:
        return pa.BufferReader(self._content(path))

    def _content(self, path: str) -> bytes:
        if path not in self.objects:
            raise FileNotFoundError(path)
        return self.objects[path][0]

    def open_output_stream(self, path: str, metadata: object) -> pa.PythonFile:
        return pa.PythonFile(_Upload(self, path), mode="w")

    def open_append_stream(self, path: str, metadata: object) -> pa.PythonFile:
        raise NotImplementedError("objects cannot be appended to")

    def move(self, source: str, target: str) -> None:
        self.moves += 1
        self.objects[target] = self.objects.pop(source)

    def copy_file(self, source: str, target: str) -> None:
        self.objects[target] = self.objects[source]

    def delete_file(self, path: str) -> None:
        del self.objects[path]

    def delete_dir(self, path: str) -> None:
        for name in [name for name in self.objects if name.startswith(f"{path}/")]:
            del self.objects[name]

    def create_dir(self, path: str, recursive: bool) -> None:
        raise AssertionError(f"an object store has no folders, but got create_dir({path!r})")

    def delete_dir_contents(self, path: str, missing_dir_ok: bool = False) -> None:
        raise NotImplementedError

    def delete_root_dir_contents(self) -> None:
        raise NotImplementedError


class _Upload(io.BytesIO):
    def __init__(self, store: ObjectStore, path: str) -> None:
        super().__init__()
        self.store, self.path = store, path

    def close(self) -> None:
        if not self.closed:
            content = self.getvalue()
            super().close()
            self.store.put(self.path, content)


def locations(tmp_path: Path) -> dict[str, tuple[pafs.FileSystem | None, str]]:
    """Return the file system (None: the local disk) and the path of a run, for each kind of storage."""
    (tmp_path / "tree").mkdir()
    tree = pafs.SubTreeFileSystem(str(tmp_path / "tree"), pafs.LocalFileSystem())
    return {
        "local": (None, str(tmp_path / "local")),
        "remote": (tree, "runs/remote"),
        "objects": (pafs.PyFileSystem(ObjectStore()), "bucket/runs/objects"),
    }
