"""Tables in Parquet files: small ones that thousands of readers open fast, large ones, and strict checks of both.

A file counts as a table of ours only if its footer says so, its pages pass their checksums, and every column has the
type of the schema, or can be cast to it without loss. A small file must hold rows of the trial it is named after.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from results.errors import BrokenFileError
from results.schema import MAX_DIGITS, bare
from results.storage.backends.storage import FileVersion, Storage, map_concurrently, whole
from results.storage.ledger import KEY
from results.storage.parquet_files.schema_cast import ColumnSelection, cast_to_schema
from results.storage.parquet_files.unfolding import refuse_unfolding

MAGIC = b"PAR1"
MANIFEST_KEY = b"shrinksweep.compacted"
"""Metadata key in ``points.parquet``: the version of the file that each trial's rows were copied from, as JSON."""


_UNREADABLE = (
    pa.ArrowException, OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError
)  # fmt: skip
"""What reading metadata may raise, whatever they hold."""

_KEY = re.compile(KEY)

SMALL_BYTES = 1 << 30
"""The largest file of a trial."""

TOKEN_KEY = b"shrinksweep.token"
"""Metadata key in a trial's file: the token of the launch that has written it."""


def small_file(table: pa.Table, token: int = 0) -> bytes:
    """Return a table of a few rows as Parquet, without anything that a reader of milliseconds does not need."""
    table = pa.Table.from_arrays(table.columns, schema=bare(table.schema))
    if token:
        table = table.replace_schema_metadata({**table.schema.metadata, TOKEN_KEY: str(token).encode()})
    return _encode(table, compression="none", write_statistics=False, store_schema=False)


def large_file(table: pa.Table, manifest: Mapping[str, Sequence[int]] | None = None) -> bytes:
    """Return a table of any length as Parquet: compressed, with statistics, column descriptions and ``manifest``."""
    if manifest is not None:
        text = json.dumps(manifest, separators=(",", ":")).encode()
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), MANIFEST_KEY: text})
    return _encode(table, compression="lz4")


def _encode(
    table: pa.Table, *, compression: str, write_statistics: bool = True, store_schema: bool = True
) -> bytes:
    labels = [field.name for field in table.schema if pa.types.is_dictionary(field.type)]
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(
        sink,
        table.schema,
        use_dictionary=labels,
        dictionary_pagesize_limit=1 << 29,  # configurations are longer than the default limit of 1 MiB
        write_page_checksum=True,
        compression=compression,
        write_statistics=write_statistics,
        store_schema=store_schema,
    ) as writer:
        writer.write_table(table, row_group_size=1 << 20)  # few dictionaries to unify: reads 4 x faster
        if not store_schema:
            writer.add_key_value_metadata(table.schema.metadata)
    return bytes(sink.getvalue())


def read_small(storage: Storage, path: str, selection: ColumnSelection) -> pa.Table:
    """Read a trial's file ``.../<key>.parquet``; ``selection`` must hold the column ``trial_key``.

    Raises:
        FileNotFoundError: there is no such file.
        BrokenFileError: the reason, without the path.
    """
    return whole(storage, lambda: _small_table(storage.read(path, limit=SMALL_BYTES), path, selection))


def _small_table(content: bytes, path: str, selection: ColumnSelection) -> pa.Table:
    try:
        table = _decode(content, selection, selection.labels)
    except KeyError:  # a label column that an older version did not have
        table = _decode(content, selection, [])
    table = cast_to_schema(table, selection)
    key = path.rpartition("/")[2].removesuffix(".parquet")
    if table.num_rows == 0 or not pc.all(pc.equal(table["trial_key"], key)).as_py():
        raise BrokenFileError(f"its rows must be those of trial {key}")
    return table


def written_with(table: pa.Table) -> int:
    """Return the token of the launch that has written a trial's file, as read by ``read_small``; 0 without one."""
    text = (table.schema.metadata or {}).get(TOKEN_KEY, b"")
    return int(text) if text.isdigit() and len(text) < MAX_DIGITS else 0


def _decode(content: bytes, selection: ColumnSelection, labels: Sequence[str]) -> pa.Table:
    def open_with(labels: Sequence[str]) -> pq.ParquetFile:
        return pq.ParquetFile(
            pa.BufferReader(content), read_dictionary=labels, page_checksum_verification=True
        )

    try:
        file = open_with(labels)
        refuse_unfolding(file, len(content), set(selection.names), labels, open_with)
        return file.read(columns=selection.names, use_threads=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BrokenFileError(f"not a Parquet file, or a damaged one ({_first_line(error)})") from error


def read_many(
    storage: Storage, paths: Iterable[str], selection: ColumnSelection
) -> tuple[dict[str, pa.Table], dict[str, str]]:
    """Read many trials' files at once; return ({path: table}, {path: reason why it cannot be read}).

    Files that were deleted after they were listed are in neither.
    """

    def read(path: str) -> tuple[str, pa.Table | None, str | None]:
        try:
            return path, read_small(storage, path, selection), None
        except FileNotFoundError:
            return path, None, None
        except BrokenFileError as error:
            return path, None, str(error)

    tables, faults = {}, {}
    for path, table, fault in map_concurrently(storage, read, paths):
        if fault is not None:
            faults[path] = fault
        elif table is not None:
            tables[path] = table
    return tables, faults


def read_large(storage: Storage, path: str, selection: ColumnSelection) -> pa.Table:
    """Read the selected columns of a table of any length.

    Raises:
        FileNotFoundError: there is no such file.
        BrokenFileError: the reason, without the path.
    """
    _refuse_pipe(storage, path)
    filesystem, inner = storage.arrow(path)

    def open_with(labels: Sequence[str]) -> pq.ParquetFile:
        return pq.ParquetFile(
            inner,
            filesystem=filesystem,
            read_dictionary=labels,
            pre_buffer=True,
            page_checksum_verification=True,
        )

    try:
        with open_with([]) as file:
            size = filesystem.get_file_info(inner).size
            kept = [field.name for field in file.schema_arrow if pa.types.is_dictionary(field.type)]
            refuse_unfolding(file, size, set(selection.names), kept, open_with)
            table = file.read(columns=selection.names)
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BrokenFileError(f"not a Parquet file, or a damaged one ({_first_line(error)})") from error
    return cast_to_schema(table, selection)


def _refuse_pipe(storage: Storage, path: str) -> None:
    """Check that a local file is a regular one: Arrow would wait for a pipe without end."""
    if storage.local is not None:
        storage.ends(path, 4)


def read_manifest(storage: Storage, path: str) -> dict[str, FileVersion]:
    """Return {trial key: version of its file} as of the last compaction into ``path``; empty if there was none.

    Raises:
        BrokenFileError: the reason, without the path.
    """
    _refuse_pipe(storage, path)
    filesystem, inner = storage.arrow(path)
    try:
        metadata = pq.read_metadata(inner, filesystem=filesystem).metadata or {}
        manifest = json.loads(metadata.get(MANIFEST_KEY, b"{}"))
        if not all(map(_KEY.fullmatch, manifest)):
            raise ValueError("its manifest must have the keys of trials")
        return {key: (int(size), int(time)) for key, (size, time) in manifest.items()}
    except FileNotFoundError:
        return {}
    except _UNREADABLE as error:
        raise BrokenFileError(f"not a compacted table, or a damaged one ({_first_line(error)})") from error


def looks_complete(storage: Storage, path: str) -> bool:
    """Whether a file begins and ends like Parquet, which truncated files do not; False for a missing file.

    Raises:
        OSError: the storage fails, which tells nothing about the file.
    """
    try:
        return storage.ends(path, len(MAGIC)) == MAGIC * 2
    except (FileNotFoundError, IsADirectoryError):
        return False


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
