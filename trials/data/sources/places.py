"""Where files are looked for: the path that was given, or else $SHRINKSWEEP_DATA, then the download cache."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from trials.data.sources.errors import DataError

DATA_VARIABLE = "SHRINKSWEEP_DATA"
"""Environment variable: the folder of data sets."""
CACHE_VARIABLE = "SHRINKSWEEP_CACHE"
"""Environment variable: the folder that downloads are kept in; unset: the user's cache folder."""


def data_folder() -> Path | None:
    """Return the folder that SHRINKSWEEP_DATA names, if it is set."""
    value = os.environ.get(DATA_VARIABLE)
    return Path(value) if value else None


def cache_folder() -> Path:
    """Return the folder of downloads, which need not exist yet."""
    value = os.environ.get(CACHE_VARIABLE)
    if value:
        return Path(value)
    import pooch

    return Path(pooch.os_cache("shrinksweep"))


def given_places(path: str) -> list[Path]:
    """Return what a given path can mean: as it stands, or inside SHRINKSWEEP_DATA where it is relative."""
    stated = Path(path).expanduser()
    root = data_folder()
    return [stated] if root is None or stated.is_absolute() else [stated, root / stated]


def standard_places(path: str | None, folders: Sequence[str]) -> list[Path]:
    """Return the folders that may hold a standard data set, in the order they are looked at.

    ``folders`` are its usual names. A path that is given is the only place (itself, or a usual folder inside
    it); without one it is SHRINKSWEEP_DATA, then the cache.
    """
    if path is not None:
        return [place for given in given_places(path) for place in (given, *_inside(given, folders))]
    roots = [root for root in (data_folder(), cache_folder()) if root is not None]
    return [place for root in roots for place in _inside(root, folders)]


def holding(places: Sequence[Path], files: Sequence[str]) -> Path | None:
    """Return the first folder that holds all the files."""
    for place in places:
        if all((place / file).is_file() for file in files):
            return place
    return None


def existing(path: str | None, source: str, what: str, folder: bool) -> Path:
    """Return the file or folder that ``data.path`` names; DataError where it is not given or not there."""
    if path is None:
        raise DataError(f"{source} needs `data.path`: {what}, but got null")
    places = given_places(path)
    for place in places:
        if place.is_dir() if folder else place.is_file():
            return place.resolve()
    looked_at = " or ".join(str(place.absolute()) for place in places)
    raise DataError(f"{source} needs `data.path`: {what}, but there is none at {looked_at}")


def _inside(root: Path, folders: Sequence[str]) -> list[Path]:
    return [root / folder for folder in folders]
