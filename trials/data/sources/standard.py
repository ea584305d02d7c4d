"""Standard data sets: found in the usual places, or else fetched once into the cache, their SHA-256 checked."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from results.errors import one_line
from trials.data.sources.errors import DataError
from trials.data.sources.places import CACHE_VARIABLE, DATA_VARIABLE, cache_folder, holding, standard_places

MIRROR_VARIABLE = "SHRINKSWEEP_MIRROR"
"""Environment variable: a base URL that serves NAME/FILE in place of the data sets' own servers."""
ANSWER_TIMEOUT_S = 5.0
DOWNLOAD_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Standard:
    """One data set: its files, the folders they usually lie in, and the server that has them."""

    name: str
    files: tuple[str, ...]
    """What a folder must hold."""
    folders: tuple[str, ...]
    """Usual names of the folder; downloads go to the first."""
    server: str
    """Base URL of the downloads."""
    downloads: Mapping[str, str]
    """Files on the server and their SHA-256."""
    unpack: Callable[[Path, Path], None] | None = None
    """Makes ``files`` in a folder out of the one download; None: the downloads are the files."""

    def locate(self, path: str | None) -> None:
        """Check that the files are there, or that the server answers; DataError otherwise."""
        places = standard_places(path, self.folders)
        if holding(places, self.files):
            return
        if path is not None:
            raise self._missing(places, "")
        fault = _unreachable(self._url(next(iter(self.downloads))))
        if fault:
            raise self._missing(places, f"; the server does not have it to fetch: {fault}")

    def folder(self, path: str | None) -> Path:
        """Return the folder that holds the files, fetching them first where that is needed and possible."""
        places = standard_places(path, self.folders)
        found = holding(places, self.files)
        if found:
            return found.resolve()
        if path is not None:
            raise self._missing(places, "")
        try:
            return self._fetch()
        except (OSError, ValueError) as fault:  # OSErrors of the network, ValueError for a wrong checksum
            response = getattr(fault, "response", None)
            if response is not None:
                response.close()  # the connection of a refused request
            raise self._missing(places, f"; it could not be fetched: {one_line(fault)}") from fault

    def _fetch(self) -> Path:
        import pooch
        from filelock import FileLock

        folder = cache_folder() / self.folders[0]
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{folder.name}.lock")):  # the trials of one machine fetch it once
            if not holding([folder], self.files):
                for file, sha256 in self.downloads.items():
                    downloader = pooch.HTTPDownloader(timeout=DOWNLOAD_TIMEOUT_S)
                    pooch.retrieve(self._url(file), f"sha256:{sha256}", file, folder, downloader=downloader)
                    if self.unpack:
                        self.unpack(folder / file, folder)
        return folder

    def _url(self, file: str) -> str:
        mirror = os.environ.get(MIRROR_VARIABLE)
        return f"{mirror.rstrip('/')}/{self.name}/{file}" if mirror else self.server + file

    def _missing(self, places: list[Path], why: str) -> DataError:
        looked_at = ", ".join(str(place.absolute()) for place in places)
        return DataError(
            f"{self.name} needs {', '.join(self.files)} in one of: {looked_at}; put them there, or set "
            f"`data.path` or {DATA_VARIABLE} (or {MIRROR_VARIABLE}, {CACHE_VARIABLE} for downloads){why}"
        )


def _unreachable(url: str) -> str | None:
    """Return why the server does not offer a file, or None where it does. Asks for the head only."""
    try:
        with urlopen(Request(url, method="HEAD"), timeout=ANSWER_TIMEOUT_S):
            return None
    except HTTPError as fault:
        with fault:  # it holds the connection
            return f"{url}: {one_line(fault)}"
    except (OSError, HTTPException, ValueError) as fault:
        return f"{url}: {one_line(fault)}"
