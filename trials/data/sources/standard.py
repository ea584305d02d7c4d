"""Standard data sets: read from disk, or else downloaded once into the cache and verified by SHA-256."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from results.errors import one_line
from trials.data.sources.errors import DataError
from trials.data.sources.locations import (
    CACHE_VARIABLE,
    DATA_VARIABLE,
    cache_folder,
    candidate_folders,
    find_folder,
)

MIRROR_VARIABLE = "SHRINKSWEEP_MIRROR"
"""Environment variable: base URL of a mirror. It serves NAME/FILE for every data set NAME."""
ANSWER_TIMEOUT_S = 5.0
DOWNLOAD_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class StandardDataSet:
    """Files of a data set: their names, usual folders and download server."""

    name: str
    files: tuple[str, ...]
    """Files that the folder must hold."""
    folders: tuple[str, ...]
    """Usual names of the folder, below the data folder or the cache. Downloads go to the first."""
    base_url: str
    """Base URL of the downloads."""
    downloads: Mapping[str, str]
    """SHA-256 of every file to download."""
    unpack: Callable[[Path, Path], None] | None = None
    """Extracts ``files`` from the downloaded archive (first argument) into a folder. None: the downloads are
    ``files``."""

    def locate(self, path: str | None) -> None:
        """Check that the files exist, or that the server offers them.

        Raises:
            DataError: neither.
        """
        candidates = candidate_folders(path, self.folders)
        if find_folder(candidates, self.files):
            return
        if path is not None:
            raise self._missing(candidates, "")
        error = _unreachable(self._url(next(iter(self.downloads))))
        if error:
            raise self._missing(candidates, f"; it cannot be downloaded: {error}")

    def on_disk(self, path: str | None) -> bool:
        """Whether the files exist."""
        return find_folder(candidate_folders(path, self.folders), self.files) is not None

    def is_published(self, file: Path) -> bool:
        """Whether ``file`` has the content of the download of its name."""
        return hashlib.sha256(file.read_bytes()).hexdigest() == self.downloads.get(file.name)

    def folder(self, path: str | None) -> Path:
        """Return the folder that holds the files. Downloads them if no ``path`` is given and they are not on disk.

        Raises:
            DataError: the files are not on disk, and the download is not allowed or fails.
        """
        candidates = candidate_folders(path, self.folders)
        found = find_folder(candidates, self.files)
        if found:
            return found.resolve()
        if path is not None:
            raise self._missing(candidates, "")
        try:
            return self._download()
        except (OSError, ValueError) as error:  # OSError: network; ValueError: wrong checksum
            response = getattr(error, "response", None)
            if response is not None:
                response.close()  # the error keeps the connection open
            raise self._missing(candidates, f"; the download failed: {one_line(error)}") from error

    def _download(self) -> Path:
        import pooch
        from filelock import FileLock

        cache = cache_folder()
        if cache is None:
            raise ValueError("there is no home folder to keep it in")
        folder = cache / self.folders[0]
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{folder.name}.lock")):  # trials on one machine share a download
            if not find_folder([folder], self.files):
                for file, sha256 in self.downloads.items():
                    downloader = pooch.HTTPDownloader(timeout=DOWNLOAD_TIMEOUT_S)
                    pooch.retrieve(self._url(file), f"sha256:{sha256}", file, folder, downloader=downloader)
                    if self.unpack:
                        self.unpack(folder / file, folder)
        return folder

    def _url(self, file: str) -> str:
        mirror = os.environ.get(MIRROR_VARIABLE)
        return f"{mirror.rstrip('/')}/{self.name}/{file}" if mirror else self.base_url + file

    def _missing(self, candidates: list[Path], why: str) -> DataError:
        searched = ", ".join(str(folder.absolute()) for folder in candidates) or "no folder"
        return DataError(
            f"{self.name} needs {', '.join(self.files)} in one of: {searched}; put them there, or set "
            f"`data.path` or {DATA_VARIABLE} (or {MIRROR_VARIABLE}, {CACHE_VARIABLE} for downloads){why}"
        )


def _unreachable(url: str) -> str | None:
    """Return why ``url`` cannot be downloaded, or None if it can. Sends a HEAD request."""
    try:
        with urlopen(Request(url, method="HEAD"), timeout=ANSWER_TIMEOUT_S):
            return None
    except HTTPError as error:
        with error:  # closes the connection
            return f"{url}: {one_line(error)}"
    except (OSError, HTTPException, ValueError) as error:
        return f"{url}: {one_line(error)}"
