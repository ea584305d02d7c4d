"""Search paths for data files: ``data.path``, or else $SHRINKSWEEP_DATA and the download cache."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from results.paths import local_path
from trials.data.sources.errors import DataError

DATA_VARIABLE = "SHRINKSWEEP_DATA"
"""Environment variable: the folder that holds data sets."""
CACHE_VARIABLE = "SHRINKSWEEP_CACHE"
"""Environment variable: the folder for downloads. Default: the user's cache folder."""


def data_folder() -> Path | None:
    """Return the folder that SHRINKSWEEP_DATA names; None if it is not set."""
    value = os.environ.get(DATA_VARIABLE)
    return Path(value) if value else None


def cache_folder() -> Path | None:
    """Return the folder for downloads, which may not exist yet; None if there is no home folder to put it into."""
    value = os.environ.get(CACHE_VARIABLE)
    if value:
        return Path(value)
    import pooch

    with suppress(RuntimeError):
        return Path(pooch.os_cache("shrinksweep"))
    return None


def candidate_paths(path: str) -> list[Path]:
    """Return what ``data.path`` may refer to: the path itself and, if relative, the same below SHRINKSWEEP_DATA."""
    given = local_path(path)
    root = data_folder()
    return [given] if root is None or given.is_absolute() else [given, root / given]


def candidate_folders(path: str | None, names: Sequence[str]) -> list[Path]:
    """Return the folders that may hold a standard data set, in search order.

    Args:
        path: ``data.path``: search this folder, and folders of the usual names in it, only. None: search
            SHRINKSWEEP_DATA, then the cache.
        names: usual names of the folder.
    """
    if path is not None:
        return [folder for root in candidate_paths(path) for folder in (root, *_join_all(root, names))]
    roots = [root for root in (data_folder(), cache_folder()) if root is not None]
    return [folder for root in roots for folder in _join_all(root, names)]


def find_folder(folders: Sequence[Path], files: Sequence[str]) -> Path | None:
    """Return the first of ``folders`` that holds all ``files``; None if there is none."""
    for folder in folders:
        if all((folder / file).is_file() for file in files):
            return folder
    return None


def require_path(path: str | None, source: str, what: str, folder: bool) -> Path:
    """Return the absolute path of the file or folder that ``data.path`` names.

    Args:
        path: ``data.path``.
        source: name of the source, for the error message.
        what: what the path should be, for the error message.
        folder: require a folder instead of a file.

    Raises:
        DataError: no path is given, or it does not exist.
    """
    if path is None:
        raise DataError(f"{source} needs `data.path`: {what}, but got null")
    candidates = candidate_paths(path)
    for candidate in candidates:
        if candidate.is_dir() if folder else candidate.is_file():
            return candidate.resolve()
    searched = " or ".join(str(candidate.absolute()) for candidate in candidates)
    raise DataError(f"{source} needs `data.path`: {what}, but there is none at {searched}")


def require_tables(path: str | None, source: str, suffixes: tuple[str, ...]) -> tuple[Path, list[Path]]:
    """Return the tables that ``data.path`` names: a file, the files of a folder, or those that match a pattern.

    Args:
        path: ``data.path``.
        source: name of the source, for the error message.
        suffixes: of the tables in a folder.

    Returns:
        The folder that all tables are in, and their absolute paths in order.

    Raises:
        DataError: no path is given, or there is no table.
    """
    what = f"a {suffixes[0]} file, a folder of them, or a pattern such as 'data/train-*{suffixes[0]}'"
    if path is None:
        raise DataError(f"{source} needs `data.path`: {what}, but got null")
    candidates = [candidate.absolute() for candidate in candidate_paths(path)]
    for candidate in candidates:
        if candidate.is_file():
            return candidate.parent, [candidate]
        folder, pattern = candidate, "**/*"
        if not candidate.is_dir() and any(character in candidate.name for character in "*?["):
            folder, pattern = candidate.parent, candidate.name
        found = sorted(file for file in folder.glob(pattern) if file.name.lower().endswith(suffixes))
        tables = [file for file in found if file.is_file() and not file.name.startswith(".")]
        if tables:
            return folder, tables
    searched = " or ".join(map(str, candidates))
    raise DataError(f"{source} needs `data.path`: {what}, but there is none at {searched}")


def _join_all(root: Path, names: Sequence[str]) -> list[Path]:
    return [root / name for name in names]
