"""Opening runs: one by its path or URI, several by a pattern or a list."""

from __future__ import annotations

import fnmatch
import glob
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs

from results.errors import NoRunError
from results.run import Run
from results.storage.remote_storage import split_uri
from results.storage.run_directory import RunDirectory

Place = str | os.PathLike[str]


def open_run(path: Place | RunDirectory, *, filesystem: Any = None) -> Run:
    """Open a run by its local path, its ``pyarrow.fs`` URI, or its path in an explicit ``filesystem``.

    Works while the sweep runs, and on runs that ended half-way. Error: ``NoRunError`` when there is none.
    """
    return Run([_existing(path, filesystem)])


def open_runs(places: Place | Iterable[Place], *, filesystem: Any = None) -> Run:
    """Open several runs as one; their frames begin with a column ``run``, the name of the run's folder.

    ``places`` is a list of paths or URIs, or a pattern such as ``runs/*`` or ``s3://bucket/runs/night-*``
    (over a network with wildcards in the last part only); what a pattern finds that is no run is left out.
    Error: ``NoRunError`` when there is no run at all, or a place listed is none.
    """
    if isinstance(places, (str, os.PathLike)):
        pattern = os.fspath(places)
        found = [RunDirectory(place, filesystem=filesystem) for place in _matches(pattern, filesystem)]
        directories = [directory for directory in found if directory.exists()]
        if not directories:
            raise NoRunError(f"there must be a run at least, but none matches {pattern!r}")
    else:
        directories = [_existing(place, filesystem) for place in places]
        if not directories:
            raise NoRunError("there must be a run at least, but got an empty list")
    return Run(directories, _names(directories))


def _existing(path: Place | RunDirectory, filesystem: Any) -> RunDirectory:
    directory = path if isinstance(path, RunDirectory) else RunDirectory(path, filesystem=filesystem)
    if not directory.exists():
        raise NoRunError(f"a run must have a sweep.yaml, ledger/ or points/, but got {directory.uri}")
    return directory


def _matches(pattern: str, filesystem: Any) -> list[str]:
    if filesystem is None and "://" not in pattern:
        return sorted(path for path in glob.glob(str(Path(pattern).expanduser())) if os.path.isdir(path))
    path, query = split_uri(pattern)
    parent, _, last = path.rstrip("/").rpartition("/")
    known, folder = (
        (filesystem, parent) if filesystem is not None else pafs.FileSystem.from_uri(parent + query)
    )
    entries = known.get_file_info(pafs.FileSelector(folder, allow_not_found=True))
    names = (entry.base_name for entry in entries if entry.type == pafs.FileType.Directory)
    return [f"{parent}/{name}{query}" for name in sorted(names) if fnmatch.fnmatchcase(name, last)]


def _names(directories: list[RunDirectory]) -> list[str]:
    """Return the folders' names; where two are alike, the whole paths."""
    names = [split_uri(directory.uri)[0].rstrip("/").rpartition("/")[2] for directory in directories]
    return [d.uri if names.count(name) > 1 else name for name, d in zip(names, directories, strict=True)]
