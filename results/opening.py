"""Opening runs: one by its path or URI, several by a pattern or a list."""

from __future__ import annotations

import fnmatch
import glob
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.fs as pafs

from results.errors import NoRunError, ResultsError, one_line
from results.paths import local_path
from results.run import Run
from results.storage.backends.credentials import without_credentials, without_secrets
from results.storage.backends.remote_storage import split_uri
from results.storage.run_directory import RunDirectory

PathLike = str | os.PathLike[str]
"""A local path or a URI."""


def open_run(path: PathLike | RunDirectory, *, filesystem: pafs.FileSystem | None = None) -> Run:
    """Open a run by its local path, its ``pyarrow.fs`` URI, or its path in an explicit ``filesystem``.

    The sweep may still be running, or may have ended early.

    Raises:
        NoRunError: there is no run at the path.
    """
    return Run([_existing(path, filesystem)])


def open_runs(paths: PathLike | Iterable[PathLike], *, filesystem: pafs.FileSystem | None = None) -> Run:
    """Open several runs as one; their data frames begin with a column ``run``, the folder name of the run.

    ``paths`` is a list of paths or URIs, or a pattern such as ``runs/*`` or ``s3://bucket/runs/night-*``. A pattern
    ignores folders that are no run; for remote paths it may have wildcards in the last part only. A folder that exists
    under the very name, such as ``runs/lr[1e-3]``, is not taken for a pattern.

    Raises:
        NoRunError: there is no run at all, or a listed path is none.
    """
    if isinstance(paths, (str, os.PathLike)):
        pattern = os.fspath(paths)
        found = [RunDirectory(path, filesystem=filesystem) for path in _matches(pattern, filesystem)]
        directories = [directory for directory in found if directory.exists()]
        if not directories:
            shown = without_credentials(pattern)
            raise NoRunError(f"there must be at least one run, but none matches {shown!r}")
    else:
        directories = [_existing(path, filesystem) for path in paths]
        if not directories:
            raise NoRunError("there must be at least one run, but got an empty list")
    return Run(directories, _names(directories))


def _existing(path: PathLike | RunDirectory, filesystem: pafs.FileSystem | None) -> RunDirectory:
    directory = path if isinstance(path, RunDirectory) else RunDirectory(path, filesystem=filesystem)
    if not directory.exists():
        raise NoRunError(f"a run must have a sweep.yaml, ledger/ or points/, but got {directory.uri}")
    return directory


def _matches(pattern: str, filesystem: pafs.FileSystem | None) -> list[str]:
    """Return the folders that match the pattern, by name."""
    if filesystem is None and "://" not in pattern:
        return sorted(str(path) for path in _expanded(local_path(pattern)) if path.is_dir())
    path, query = split_uri(pattern)
    parent, _, last = path.rstrip("/").rpartition("/")
    if filesystem is None:
        try:
            filesystem, folder = pafs.FileSystem.from_uri(parent + query)
        except (pa.ArrowException, OSError) as error:
            reason = without_secrets(one_line(error), pattern)
            raise ResultsError(
                f"a pattern must be one of paths or of URIs that pyarrow.fs opens, but got "
                f"{without_credentials(pattern)!r}: {reason}"
            ) from None
    else:
        folder = parent
    entries = filesystem.get_file_info(pafs.FileSelector(folder, allow_not_found=True))
    names = [entry.base_name for entry in entries if entry.type == pafs.FileType.Directory]
    matching = [last] if last in names else fnmatch.filter(sorted(names), last)
    return [f"{parent}/{name}{query}" for name in matching]


def _expanded(pattern: Path) -> list[Path]:
    """Return the paths that match, part by part. A part that exists under this very name stands for itself alone."""
    found = [Path(pattern.anchor)]
    for part in pattern.parts[1 if pattern.anchor else 0 :]:
        found = [
            folder / name
            for folder in found
            for name in ([part] if os.path.lexists(folder / part) else glob.glob(part, root_dir=folder))
        ]
    return found


def _names(directories: Sequence[RunDirectory]) -> list[str]:
    """Return the folder name of each run; its whole path or URI if two have the same folder name."""
    names = [split_uri(directory.uri)[0].rstrip("/").rpartition("/")[2] for directory in directories]
    return [d.uri if names.count(name) > 1 else name for name, d in zip(names, directories, strict=True)]
