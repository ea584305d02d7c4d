"""Surveys that are not made twice: kept in this process, and those of many images also in the cache folder."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from trials.data.sources.locations import cache_folder
from trials.data.sources.surveys import Survey

KEPT_FROM = 2_000
"""Images from which a survey is kept in a file: they take about a second."""
FORMAT = 2
"""Version of the files. A survey that finds more gets another."""

_known: dict[str, Survey] = {}


def survey_once(version: str, images: int, survey: Callable[[], Survey]) -> Survey:
    """Return the survey of the data set whose files have this version, made by ``survey`` if it is not known.

    Args:
        version: text that is different where a file is.
        images: number of images.
        survey: makes the survey.
    """
    key = hashlib.sha256(f"{FORMAT} {version}".encode()).hexdigest()[:32]
    if key not in _known:
        file = _file(key) if images >= KEPT_FROM else None
        found = _read(file) if file else None
        _known[key] = found or survey()
        if file and found is None:
            _write(file, _known[key])
    return _known[key]


def _file(key: str) -> Path | None:
    folder = cache_folder()
    return folder / "surveys" / f"{key}.json" if folder else None


def _read(file: Path) -> Survey | None:
    try:
        content = json.loads(file.read_text())
        return Survey(
            shape=tuple(content["shape"]),
            counts=content["counts"],
            class_names=tuple(content["class_names"]),
            fingerprint=content["fingerprint"],
            notes=tuple(content["notes"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(file: Path, survey: Survey) -> None:
    """Write a survey in one step. Where the folder cannot be written to, the survey is made again next time."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=file.parent, suffix=".part", delete=False) as part:
            json.dump(asdict(survey), part)
        os.replace(part.name, file)
    except OSError:
        return
