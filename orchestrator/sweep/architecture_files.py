"""Files with genotypes: a sweep that names one holds its text, so that nodes and later launches need no file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

from results.schema import paths_of
from search_space.genotype import GenotypeError
from trials.config.architecture import RANDOM, canonical

FIELD = "search.genotype"
MAX_BYTES = 100_000
"""The largest file with a genotype."""


def read(fields: Mapping[str, object]) -> tuple[dict[str, object], list[str]]:
    """Return the fields of a sweep with every file of ``search.genotype`` replaced by its text, and the faults.

    Values that are no files stay as they are: their field tells what is wrong with them.
    """
    faults: list[str] = []

    def text_of(value: object) -> object:
        try:
            return _content(value)
        except GenotypeError as error:
            faults.append(str(error))
            return RANDOM  # valid, so that nothing else is said about it

    content = dict(fields)
    trial = content.get("trial")
    if (
        isinstance(trial, Mapping)
        and isinstance(search := trial.get("search"), Mapping)
        and "genotype" in search
    ):
        content["trial"] = {**trial, "search": {**search, "genotype": text_of(search["genotype"])}}
    if isinstance(swept := content.get("sweep"), Mapping):
        content["sweep"] = {path: _replaced(str(path), raw, text_of) for path, raw in swept.items()}
    return content, faults


def _replaced(path: str, raw: object, text_of: Callable[[object], object]) -> object:
    """Return the values of one dimension with the texts of files."""
    paths = paths_of(path)
    if FIELD not in paths:
        return raw
    if isinstance(raw, Mapping) and "choices" in raw:
        return {**raw, "choices": _replaced(path, raw["choices"], text_of)}
    if not isinstance(raw, list | tuple):
        return raw
    if len(paths) == 1:
        return [text_of(value) for value in raw]
    column = paths.index(FIELD)
    return [_with_text(row, column, text_of) for row in raw]


def _with_text(row: object, column: int, text_of: Callable[[object], object]) -> object:
    if not isinstance(row, list | tuple) or column >= len(row):
        return row
    values = list(cast(Sequence[object], row))
    values[column] = text_of(values[column])
    return values


def _content(value: object) -> object:
    """Return the text of the genotype in the file ``value``; ``value`` itself if it is no file.

    Raises:
        GenotypeError: the file cannot be read, or holds no genotype.
    """
    if not isinstance(value, str) or not _is_file(value):
        return value
    try:
        with Path(value).open(encoding="utf-8") as file:
            text = file.read(MAX_BYTES)
        if "(" not in text and "{" not in text:
            raise GenotypeError(f"it must read `Genotype(normal=[...], ...)`, but got {text[:60]!r}")
        return canonical(text.strip())
    except (OSError, UnicodeDecodeError, GenotypeError) as error:
        raise GenotypeError(f"`{FIELD}` must be a file with a genotype, but got {value}: {error}") from None


def _is_file(value: str) -> bool:
    try:
        return Path(value).is_file()
    except (OSError, ValueError):  # too long for a name, or with a null byte
        return False
