"""One table of a run, kept in one Parquet file a trial, and perhaps a compacted copy of them all.

``points/<key>.parquet`` is the record, ``points.parquet`` the compacted copy. A reader takes unchanged trials from the
copy and the others from their own files, so no row is read twice, and a trial's own file takes precedence.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from results.errors import BrokenFileError, ResultsError
from results.storage.backends.storage import FileVersion, lost_fence, map_concurrently, token_of
from results.storage.checked_files import CheckedFiles
from results.storage.ledger import KEY
from results.storage.memory import give_back_memory
from results.storage.parquet_files import parquet
from results.storage.parquet_files.compacted_file import CompactedFile
from results.storage.parquet_files.rows import table_from_rows
from results.storage.parquet_files.schema_cast import ColumnSelection, join, labelled_in_order, packed

_KEY = re.compile(KEY)
_SUFFIX = ".parquet"

BLOCK = 256
"""Files read before their rows are packed: a thousand tables of one row take 100 times the memory of their content."""

Keys = str | Collection[str] | None
"""One trial, several, or all (None)."""


def checked_key(key: str) -> str:
    """Return ``key`` if it can name a file.

    Raises:
        ResultsError: it cannot.
    """
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise ResultsError(f"a trial's key must be letters, digits, - and _, but got {key!r}")
    return key


@dataclass(frozen=True)
class TrialFiles:
    """One table of a run: ``folder`` with one file a trial, its rows in ascending ``order``; and ``compacted``."""

    files: CheckedFiles
    folder: str
    schema: pa.Schema
    order: str
    compacted: CompactedFile | None = None

    def path(self, key: str) -> str:
        """Return the path of a trial's own file."""
        return f"{self.folder}/{checked_key(key)}{_SUFFIX}"

    def write(self, key: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Store the rows of a trial in place of its earlier ones. A broken file is quarantined first.

        Raises:
            ResultsError: there is no row, or a row of another trial.
            SchemaError: a row does not fit the schema.
            LostLeaseError: a later launch has written the file.
        """
        others = {row.get("trial_key") for row in rows} - {key}
        if not rows or others:
            raise ResultsError(
                f"{self.folder} of trial {key} must be rows of that trial, but got {others or 'none'}"
            )
        content = parquet.small_file(table_from_rows(self.schema, rows), token_of(self.files.storage))
        path = self.path(key)
        self._make_way(path)
        self.files.storage.write(path, content)
        self.files.problems.clear(path)

    def _make_way(self, path: str) -> None:
        """Quarantine the file that is to be replaced if it is broken; refuse to replace that of a later launch."""
        storage = self.files.storage
        try:
            table = parquet.read_small(storage, path, ColumnSelection(self.schema))
        except FileNotFoundError:
            return
        except BrokenFileError:
            self.files.quarantine(path)
            return
        if 0 < token_of(storage) < parquet.written_with(table):
            raise lost_fence(storage)

    def read(self, keys: Keys = None, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the rows of one trial, several or all, by trial_index and ``order``."""
        wanted = (
            None
            if keys is None
            else [checked_key(key) for key in ([keys] if isinstance(keys, str) else keys)]
        )
        names = list(self.schema.names if columns is None else columns)
        selection = ColumnSelection(self.schema, {*names, "trial_key", "trial_index", self.order})
        table, own = self._read_own(self._changed() if wanted is None else wanted, selection)
        is_complete = wanted is not None and own >= set(wanted)
        copied = None if is_complete else self._read_compacted(selection, wanted, own)
        if copied is not None and copied.num_rows:
            table = join([copied, table], selection) if own else copied
        if len(own) > 1 or (own and copied is not None):
            table = labelled_in_order(table.take(_order(table, self.order)), selection)
        return table.select(names)

    def keys(self) -> set[str]:
        """Return the keys of the trials that have rows. Reads only both ends of their files: finds truncated ones."""
        versions, manifest = self._versions(), self._manifest()
        changed = [key for key, version in versions.items() if manifest.get(key) != version]
        return self._complete(changed) | set(manifest) | (set(versions) - set(changed))

    def is_readable(self, key: str) -> bool:
        """Whether a trial's own file exists and can be read to its last byte."""
        return key in self._read_own([key], ColumnSelection(self.schema))[1]

    def is_compacted(self, key: str) -> bool:
        """Whether the compacted file holds rows of a trial."""
        return key in self._manifest()

    def versions(self) -> dict[str, FileVersion]:
        """Return the version of each trial's own file, or else of the file that was compacted."""
        return {**self._manifest(), **self._versions()}

    def count_changed(self) -> int:
        """Return how many trials' own files have changed since the last compaction."""
        return len(self._changed())

    def set_aside(self, keys: Collection[str]) -> None:
        """Move the files of trials into ``quarantine/``, and remove their rows from the compacted file."""
        for key in keys:
            self.files.quarantine(self.path(key))
        if not set(keys).isdisjoint(self._manifest()):
            self.compact(without=keys)

    def compact(self, without: Collection[str] = ()) -> None:
        """Write the compacted file, without the rows of the trials ``without``."""
        assert self.compacted is not None
        versions = self._versions()  # before reading: a file that is replaced meanwhile counts as changed
        table = self.read()
        if without:
            table = table.filter(pc.invert(_is_among(table, without)))
        keys = sorted(set(pc.unique(table["trial_key"]).to_pylist()))
        self.compacted.write(table, {key: versions.get(key, (0, 0)) for key in keys})
        del table
        give_back_memory()

    def examine(self, *, to_the_last_byte: bool) -> None:
        """Note the problems of all files that have changed since the last compaction."""
        changed = self._changed()
        if to_the_last_byte:
            self._read_own(changed, ColumnSelection(self.schema))
        else:
            self._complete(changed)

    def _changed(self) -> list[str]:
        versions, manifest = self._versions(), self._manifest()
        return [key for key, version in versions.items() if manifest.get(key) != version]

    def _versions(self) -> dict[str, FileVersion]:
        """Return the version of each trial's own file; files of other names are noted as problems."""
        found = {}
        for file in self.files.storage.list(self.folder):
            stem = file.name.removesuffix(_SUFFIX)
            if stem == file.name or not _KEY.fullmatch(stem):
                self.files.problems.note(f"{self.folder}/{file.name}", "not the name of a trial's file")
            else:
                found[stem] = file.version
        return found

    def _manifest(self) -> dict[str, FileVersion]:
        return {} if self.compacted is None else self.compacted.manifest()

    def _complete(self, keys: Collection[str]) -> set[str]:
        """Return those of ``keys`` whose own files begin and end as Parquet files do; the others are noted."""
        storage, paths = self.files.storage, [self.path(key) for key in keys]
        complete = map_concurrently(storage, lambda path: parquet.looks_complete(storage, path), paths)
        for path, is_complete in zip(paths, complete, strict=True):
            if not is_complete:
                self.files.problems.note(path, "not a Parquet file, or a truncated one")
        return {key for key, is_complete in zip(keys, complete, strict=True) if is_complete}

    def _read_own(self, keys: Sequence[str], selection: ColumnSelection) -> tuple[pa.Table, set[str]]:
        """Return the rows of the trials' own files, trials in any order, and the keys of the trials that have rows."""
        blocks, found = [], set[str]()
        for start in range(0, len(keys), BLOCK):
            paths = {self.path(key): key for key in keys[start : start + BLOCK]}
            tables, faults = parquet.read_many(self.files.storage, paths, selection)
            for path in paths:
                if path in faults:
                    self.files.problems.note(path, faults[path])
                else:
                    self.files.problems.clear(path)
            found |= {paths[path] for path in tables}
            if tables:
                blocks.append(packed(join(list(tables.values()), selection)))
        return join(blocks, selection), found

    def _read_compacted(
        self, selection: ColumnSelection, keys: Collection[str] | None, own: Collection[str]
    ) -> pa.Table | None:
        """Return the compacted rows of ``keys`` (None: of all) except those of the trials in ``own``."""
        table = None if self.compacted is None else self.compacted.read(selection)
        if table is not None and keys is not None:
            table = table.filter(_is_among(table, keys))
        if table is not None and own:
            table = table.filter(pc.invert(_is_among(table, own)))
        return table


def _order(table: pa.Table, column: str) -> pa.Array:
    return pc.sort_indices(
        table.select(["trial_index", column]), [("trial_index", "ascending"), (column, "ascending")]
    )


def _is_among(table: pa.Table, keys: Collection[str]) -> pa.ChunkedArray:
    return pc.is_in(table["trial_key"], pa.array(sorted(keys), pa.string()))
