"""Tables in Parquet files: written to be read fast by the thousand, read so that none is trusted.

A file is taken for a table of ours only when its footer says so, its pages pass their checksums, every column
has the schema's type (or can be cast to it without loss), and its rows are those of the trial it is named after.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from results.errors import BrokenFileError
from results.schema import bare
from results.storage.schema_cast import Shape, cast_to_schema
from results.storage.storage import Storage, map_concurrently

MAGIC = b"PAR1"
MANIFEST_KEY = b"shrinksweep.compacted"
"""In ``points.parquet``: which version (size, time) of which trial's file each row was taken from."""

Version = tuple[int, int]
"""Size and time of a file: another version has another."""


def small_file(table: Any) -> bytes:
    """Return a table of a few rows as Parquet: nothing in it but what is needed to read it in a millisecond."""
    table = pa.Table.from_arrays(table.columns, schema=bare(table.schema))
    return _encode(table, compression="none", write_statistics=False, store_schema=False)


def large_file(table: Any, manifest: Mapping[str, Sequence[int]] | None = None) -> bytes:
    """Return a table of any length as Parquet: compressed, with statistics, descriptions and ``manifest``."""
    if manifest is not None:
        text = json.dumps(manifest, separators=(",", ":")).encode()
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), MANIFEST_KEY: text})
    return _encode(table, compression="lz4")


def _encode(table: Any, **options: Any) -> bytes:
    labels = [field.name for field in table.schema if pa.types.is_dictionary(field.type)]
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(
        sink,
        table.schema,
        use_dictionary=labels,
        dictionary_pagesize_limit=1 << 29,  # configurations are long: beyond the usual 1 MiB, too
        write_page_checksum=True,
        **options,
    ) as writer:
        writer.write_table(table, row_group_size=1 << 20)  # few dictionaries to unify: reads 4 x faster
        if not options.get("store_schema", True):
            writer.add_key_value_metadata(table.schema.metadata)
    return bytes(sink.getvalue())


def read_small(storage: Storage, path: str, shape: Shape) -> Any:
    """Read one trial's file, whose stem is the trial's key; ``shape`` holds the column ``trial_key``.

    Errors: ``FileNotFoundError``; ``BrokenFileError``, with the reason but without the path.
    """
    content = storage.read(path)
    try:
        table = _decode(content, shape, shape.labels)
    except KeyError:  # a label that an older version lacked
        table = _decode(content, shape, [])
    table = cast_to_schema(table, shape)
    key = path.rpartition("/")[2].removesuffix(".parquet")
    if table.num_rows == 0 or not pc.all(pc.equal(table["trial_key"], key)).as_py():
        raise BrokenFileError(f"its rows must be those of trial {key}")
    return table


def _decode(content: bytes, shape: Shape, labels: Sequence[str]) -> Any:
    try:
        file = pq.ParquetFile(
            pa.BufferReader(content), read_dictionary=labels, page_checksum_verification=True
        )
        return file.read(columns=shape.names, use_threads=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BrokenFileError(f"not a Parquet file, or a damaged one ({_first_line(error)})") from error


def read_many(storage: Storage, paths: Iterable[str], shape: Shape) -> tuple[dict[str, Any], dict[str, str]]:
    """Read many trials' files at once: ({path: table}, {path: what is wrong}).

    Files that vanished since they were listed are in neither.
    """

    def attempt(path: str) -> tuple[str, Any, str | None]:
        try:
            return path, read_small(storage, path, shape), None
        except FileNotFoundError:
            return path, None, None
        except BrokenFileError as error:
            return path, None, str(error)

    tables, faults = {}, {}
    for path, table, fault in map_concurrently(storage, attempt, paths):
        if fault is not None:
            faults[path] = fault
        elif table is not None:
            tables[path] = table
    return tables, faults


def read_large(storage: Storage, path: str, shape: Shape) -> Any:
    """Read a table of any length, only the columns of ``shape``. Errors as those of ``read_small``."""
    filesystem, inner = storage.arrow(path)
    options = {"pre_buffer": True, "page_checksum_verification": True}
    try:
        with pq.ParquetFile(inner, filesystem=filesystem, **options) as file:
            table = file.read(columns=shape.names)
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BrokenFileError(f"not a Parquet file, or a damaged one ({_first_line(error)})") from error
    return cast_to_schema(table, shape)


def read_manifest(storage: Storage, path: str) -> dict[str, Version]:
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
    """Say whether a file begins and ends like Parquet: a quick look that finds truncated files.

    False for a file that is gone. Error: ``OSError`` from storage that fails, which says nothing about the file.
    """
    try:
        return storage.ends(path, len(MAGIC)) == MAGIC * 2
    except (FileNotFoundError, IsADirectoryError):
        return False


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
