"""Tables in Parquet files: written so that thousands of small ones are read fast, read so that none is
trusted.

A file is taken for a table of ours only when its footer says so, its pages pass their checksums, every column
has the schema's type (or can be cast to it without loss), and its rows belong to the trial that its name
names.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from results.errors import BrokenFileError
from results.schema import TABLE_KEY, VERSION, bare, schema_version
from results.storage import LocalStorage, Storage

MAGIC = b"PAR1"
MANIFEST_KEY = b"shrinksweep.compacted"
"""In ``points.parquet``: which version (size, time) of which trial's file each row was taken from."""


def small_file(table: Any) -> bytes:
    """Return a table of a few rows as Parquet: no compression, no statistics, no descriptions (reads in 1
    ms).
    """
    table = pa.Table.from_arrays(table.columns, schema=bare(table.schema))
    return _encode(table, compression="none", write_statistics=False)


def large_file(table: Any, manifest: Mapping[str, Sequence[int]] | None = None) -> bytes:
    """Return a table of any length as Parquet: compressed, with statistics, descriptions and ``manifest``."""
    if manifest is not None:
        text = json.dumps(manifest, separators=(",", ":")).encode()
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), MANIFEST_KEY: text})
    return _encode(table, compression="zstd", row_group_size=131_072)


def _encode(table: Any, **options: Any) -> bytes:
    labels = [field.name for field in table.schema if pa.types.is_dictionary(field.type)]
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        use_dictionary=labels,
        dictionary_pagesize_limit=64
        << 20,  # configurations are long: keep them encoded beyond the usual 1 MiB
        write_page_checksum=True,
        **options,
    )
    return bytes(sink.getvalue())


def read_small(storage: Storage, path: str, schema: Any, columns: Sequence[str] | None = None) -> Any:
    """Read one trial's file, whose stem is the trial's key, as a ``pa.Table`` of ``schema`` (or of
    ``columns`` of it).

    Errors: ``FileNotFoundError``; ``BrokenFileError``, with the reason but without the path.
    """
    names = list(schema.names if columns is None else columns)
    content = storage.read(path)
    try:
        file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
        table = file.read(columns=[*names, "trial_key"], use_threads=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BrokenFileError(f"not a Parquet file, or a damaged one ({_first_line(error)})") from error
    table = conform(table, schema, [*names, "trial_key"])
    key = path.rpartition("/")[2].removesuffix(".parquet")
    if table.num_rows == 0 or not pc.all(pc.equal(table["trial_key"], key)).as_py():
        raise BrokenFileError(f"its rows must be those of trial {key}")
    return table.select(names)


def read_many(
    storage: Storage, paths: Iterable[str], schema: Any, columns: Sequence[str] | None = None
) -> tuple[dict[str, Any], dict[str, str]]:
    """Read many trials' files at once: ({path: table}, {path: what is wrong}); files that vanished are in
    neither.
    """

    def attempt(path: str) -> tuple[str, Any, str | None]:
        try:
            return path, read_small(storage, path, schema, columns), None
        except FileNotFoundError:
            return path, None, None
        except BrokenFileError as error:
            return path, None, str(error)

    tables, faults = {}, {}
    with ThreadPoolExecutor(thread_count(storage)) as pool:
        for path, table, fault in pool.map(attempt, paths):
            if fault is not None:
                faults[path] = fault
            elif table is not None:
                tables[path] = table
    return tables, faults


def read_large(storage: Storage, path: str, schema: Any, columns: Sequence[str] | None = None) -> Any:
    """Read a table of any length, only the ``columns`` asked for. Errors as those of ``read_small``."""
    names = list(schema.names if columns is None else columns)
    filesystem, inner = storage.arrow(path)
    try:
        with pq.ParquetFile(
            inner, filesystem=filesystem, pre_buffer=True, page_checksum_verification=True
        ) as file:
            table = file.read(columns=names)
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BrokenFileError(f"not a Parquet file, or a damaged one ({_first_line(error)})") from error
    return conform(table, schema, names)


def read_manifest(storage: Storage, path: str) -> dict[str, tuple[int, int]]:
    """Return {trial key: (size, time)} of the files that the compacted ``path`` was made of."""
    filesystem, inner = storage.arrow(path)
    try:
        metadata = pq.read_metadata(inner, filesystem=filesystem).metadata or {}
        manifest = json.loads(metadata.get(MANIFEST_KEY, b"{}"))
        return {key: (int(size), int(time)) for key, (size, time) in manifest.items()}
    except FileNotFoundError:
        return {}
    except (pa.ArrowException, OSError, ValueError, AttributeError) as error:
        raise BrokenFileError(f"not a compacted table, or a damaged one ({_first_line(error)})") from error


def looks_whole(storage: Storage, path: str) -> bool:
    """Say whether a file begins and ends like Parquet: a quick look that finds truncated files."""
    try:
        return storage.ends(path, len(MAGIC)) == MAGIC * 2
    except (FileNotFoundError, OSError):
        return False


def conform(table: Any, schema: Any, columns: Sequence[str]) -> Any:
    """Return ``columns`` of ``table`` with the types of ``schema``; columns that older versions lacked become
    null.

    Error: ``BrokenFileError`` for a table that is not ours, lacks a column, or holds another type.
    """
    if (table.schema.metadata or {}).get(TABLE_KEY) != schema.metadata[TABLE_KEY]:
        raise BrokenFileError(f"not a table of {schema.metadata[TABLE_KEY].decode()}")
    older = (schema_version(table.schema) or 0) < VERSION
    fields, arrays = [], []
    for name in dict.fromkeys(columns):
        field = schema.field(name)
        array = _typed(table, field, older)
        if array.null_count and not field.nullable:
            if not older:
                raise BrokenFileError(f"`{name}` must not be null")
            field = field.with_nullable(True)
        fields.append(field)
        arrays.append(array)
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata=schema.metadata))


def _typed(table: Any, field: Any, older: bool) -> Any:
    if field.name not in table.schema.names:
        if not (older or field.nullable):
            raise BrokenFileError(f"column `{field.name}` is missing")
        return pa.nulls(table.num_rows, field.type)
    array = table.column(field.name)
    if array.type.equals(field.type):
        return array
    try:
        if pa.types.is_dictionary(field.type) and not pa.types.is_dictionary(array.type):
            return array.cast(field.type.value_type).dictionary_encode()
        return array.cast(field.type)
    except pa.ArrowException as error:
        raise BrokenFileError(f"`{field.name}` must hold {field.type}, but holds {array.type}") from error


def join(schema: Any, tables: Sequence[Any], columns: Sequence[str] | None = None) -> Any:
    """Return the tables one after the other; an empty table of ``schema`` (or ``columns`` of it) when there
    is none.
    """
    names = list(schema.names if columns is None else columns)
    if not tables:
        return pa.schema([schema.field(name) for name in names], metadata=schema.metadata).empty_table()
    if len(tables) == 1:
        return tables[0]
    fields = [  # a column is nullable when it is in any of the tables
        next(
            (table.schema.field(name) for table in tables if table.schema.field(name).nullable),
            schema.field(name),
        )
        for name in names
    ]
    common = pa.schema(fields, metadata=schema.metadata)
    return pa.concat_tables([pa.Table.from_arrays(t.select(names).columns, schema=common) for t in tables])


def thread_count(storage: Storage) -> int:
    """Return how many files to read at once: as many as processors on a disk, many over a network."""
    return min(8, os.cpu_count() or 1) if isinstance(storage, LocalStorage) else 32


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
