"""The Parquet files of many trials, one a trial, and the compacted file that may hold their rows as well.

``points/<key>.parquet`` is the record. ``points.parquet`` is a copy that reads fast; its manifest remembers
the size and time of every file it was made of. Reading takes from the copy whatever is unchanged, and from
the trials' own files the rest: no row is ever doubled, and where both differ the trial's own file wins.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from results.errors import BrokenFileError, ResultsError
from results.storage import parquet
from results.storage.memory import give_back_memory
from results.storage.problems import Problems
from results.storage.schema_cast import Shape, join, labelled_in_order, packed
from results.storage.storage import Storage, map_concurrently

_KEY = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,127}")
_SUFFIX = ".parquet"

BLOCK = 256
"""Files that are read before their rows are packed: a thousand tables of a row take 100 times their content."""

Keys = str | Collection[str] | None
"""One trial, several, or all."""


def checked_key(key: str) -> str:
    """Return ``key`` if it can name a file. Error: ``ResultsError``."""
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise ResultsError(f"a trial's key must be letters, digits, - and _, but got {key!r}")
    return key


@dataclass
class TrialFiles:
    """One table of a run: a folder of trials' files, each in ascending ``order``, and ``compacted``."""

    storage: Storage
    problems: Problems
    folder: str
    schema: Any
    order: str
    compacted: str | None = None
    _manifest_of: tuple[parquet.Version, dict[str, parquet.Version]] | None = field(
        default=None, init=False, repr=False
    )
    """The compacted file's version and manifest: every trial that starts asks for it, and it is long."""

    def path(self, key: str) -> str:
        """Return the path of a trial's own file."""
        return f"{self.folder}/{checked_key(key)}{_SUFFIX}"

    def is_good(self, key: str) -> bool:
        """Say whether a trial's own file is there and can be read to its last byte."""
        return key in self._read_own([key], Shape(self.schema))[1]

    def versions(self) -> dict[str, parquet.Version]:
        """Return (size, time) of each trial's own file, or of the one that the compacted file was made of."""
        return {**self._manifest(), **self._versions()}

    def is_compacted(self, key: str) -> bool:
        """Say whether the compacted file holds rows of a trial."""
        return key in self._manifest()

    def keys(self) -> set[str]:
        """Return the trials that have rows. A look at the ends of their files only: finds truncated ones."""
        versions, manifest = self._versions(), self._manifest()
        doubtful = [key for key, version in versions.items() if manifest.get(key) != version]
        return self._look_at(doubtful) | set(manifest) | (set(versions) - set(doubtful))

    def read(self, keys: Keys = None, columns: Sequence[str] | None = None) -> Any:
        """Return the rows of one trial, several or all, by trial_index and ``order``, as a ``pa.Table``."""
        wanted = (
            None
            if keys is None
            else [checked_key(key) for key in ([keys] if isinstance(keys, str) else keys)]
        )
        names = list(self.schema.names if columns is None else columns)
        shape = Shape(self.schema, {*names, "trial_key", "trial_index", self.order})
        table, own = self._read_own(self._changed() if wanted is None else wanted, shape)
        is_whole = wanted is not None and own >= set(wanted)
        copied = None if is_whole else self._read_compacted(shape, wanted, own)
        if copied is not None and copied.num_rows:
            table = join([copied, table], shape) if own else copied
        if len(own) > 1 or (own and copied is not None):
            table = labelled_in_order(table.take(_order(table, self.order)), shape)
        return table.select(names)

    def changed(self) -> int:
        """Return how many trials' own files the compacted one does not hold as they are now."""
        return len(self._changed())

    def compact(self) -> None:
        """Write the compacted file anew."""
        assert self.compacted is not None
        seen = self._versions()  # before reading: a file that changes meanwhile counts as changed
        table = self.read()
        held = sorted(set(pc.unique(table["trial_key"]).to_pylist()))
        manifest = {key: seen.get(key, (0, 0)) for key in held}
        if self.problems.about(self.compacted):
            self.storage.move(self.compacted, f"quarantine/{self.compacted}.{uuid.uuid4().hex[:8]}")
            self.problems.clear(self.compacted)
        self.storage.write(self.compacted, parquet.large_file(table.unify_dictionaries(), manifest))
        del table
        give_back_memory()

    def examine(self, *, to_the_last_byte: bool) -> None:
        """Look at every file that the compacted one does not hold, so that its problems are known."""
        changed = self._changed()
        if to_the_last_byte:
            self._read_own(changed, Shape(self.schema))
        else:
            self._look_at(changed)

    def _changed(self) -> list[str]:
        versions, manifest = self._versions(), self._manifest()
        return [name for name, version in versions.items() if manifest.get(name) != version]

    def _versions(self) -> dict[str, parquet.Version]:
        """List the trials' own files: {key: (size, time)}."""
        found = {}
        for file in self.storage.list(self.folder):
            stem = file.name.removesuffix(_SUFFIX)
            if stem == file.name or not _KEY.fullmatch(stem):
                self.problems.note(f"{self.folder}/{file.name}", "not the name of a trial's file")
            else:
                found[stem] = (file.size, file.modified_ns)
        return found

    def _manifest(self) -> dict[str, parquet.Version]:
        if self.compacted is None:
            return {}
        there = [file for file in self.storage.list("") if file.name == self.compacted]
        if not there:
            return {}
        version = there[0].size, there[0].modified_ns
        if self._manifest_of is not None and self._manifest_of[0] == version:
            return self._manifest_of[1]
        try:
            manifest = parquet.read_manifest(self.storage, self.compacted)
        except BrokenFileError as error:
            self.problems.note(self.compacted, str(error))
            return {}
        self.problems.clear(self.compacted)
        self._manifest_of = version, manifest
        return manifest

    def _look_at(self, keys: Collection[str]) -> set[str]:
        """Return those of ``keys`` whose own files begin and end as they should."""
        paths = {key: self.path(key) for key in keys}
        whole = map_concurrently(
            self.storage, lambda path: parquet.looks_whole(self.storage, path), paths.values()
        )
        looks = dict(zip(keys, whole, strict=True))
        for key in keys:
            if not looks[key]:
                self.problems.note(paths[key], "not a Parquet file, or a truncated one")
        return {key for key in keys if looks[key]}

    def _read_own(self, keys: Sequence[str], shape: Shape) -> tuple[Any, set[str]]:
        """Return the rows of the trials' own files, in any order of trials, and the keys of those that have some."""
        blocks, found = [], set[str]()
        for start in range(0, len(keys), BLOCK):
            paths = {self.path(key): key for key in keys[start : start + BLOCK]}
            tables, faults = parquet.read_many(self.storage, paths, shape)
            for path in paths:
                if path in faults:
                    self.problems.note(path, faults[path])
                else:
                    self.problems.clear(path)
            found |= {paths[path] for path in tables}
            if tables:
                blocks.append(packed(join(list(tables.values()), shape)))
        return join(blocks, shape), found

    def _read_compacted(self, shape: Shape, keys: Collection[str] | None, own: Collection[str]) -> Any:
        """Return the compacted rows of ``keys`` (None: of all) but those of trials in ``own``."""
        if self.compacted is None:
            return None
        try:
            table = parquet.read_large(self.storage, self.compacted, shape)
        except FileNotFoundError:
            return None
        except BrokenFileError as error:
            self.problems.note(self.compacted, str(error))
            return None
        if keys is not None:
            table = table.filter(_is_among(table, keys))
        if own:
            table = table.filter(pc.invert(_is_among(table, own)))
        return table


def _order(table: Any, column: str) -> Any:
    return pc.sort_indices(
        table.select(["trial_index", column]), [("trial_index", "ascending"), (column, "ascending")]
    )


def _is_among(table: Any, keys: Collection[str]) -> Any:
    return pc.is_in(table["trial_key"], pa.array(sorted(keys), pa.string()))
