"""Stored tables made into tables of the schema: checked, cast where nothing is lost, and joined.

One trial's file in a thousand others has to pass here in microseconds: what already has the right types
passes as it is, and descriptions are put on once, when the tables are joined.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from results.errors import BrokenFileError
from results.schema import TABLE_KEY, VERSION, schema_version


class Shape:
    """Which columns of which schema are wanted, in the schema's order."""

    def __init__(self, schema: Any, columns: Iterable[str] | None = None) -> None:
        wanted = set(schema.names if columns is None else columns)
        self.schema = schema
        self.fields = [field for field in schema if field.name in wanted]
        self.names = [field.name for field in self.fields]
        self.labels = [field.name for field in self.fields if pa.types.is_dictionary(field.type)]
        self.plain = pa.schema([field.remove_metadata() for field in self.fields])
        self.table = schema.metadata[TABLE_KEY]

    def described(self, fields: Sequence[Any]) -> Any:
        """Return the schema of stored ``fields`` with descriptions, and nullable where they are."""
        described = [
            wanted.with_nullable(field.nullable) for wanted, field in zip(self.fields, fields, strict=True)
        ]
        return pa.schema(described, metadata=self.schema.metadata)


def cast_to_schema(table: Any, shape: Shape) -> Any:
    """Return the columns of ``shape`` with its types; columns that older versions lacked become null.

    Error: ``BrokenFileError`` for a table that is not ours, lacks a column, or holds another type.
    """
    metadata = table.schema.metadata or {}
    if metadata.get(TABLE_KEY) != shape.table:
        raise BrokenFileError(f"not a table of {shape.table.decode()}")
    if table.schema.equals(shape.plain):  # required columns cannot hold nulls: Parquet has no place for them
        return table
    older = (schema_version(table.schema) or 0) < VERSION
    fields, arrays = [], []
    for field in shape.plain:
        array = _typed(table, field, older)
        if array.null_count and not (field.nullable or older):
            raise BrokenFileError(f"`{field.name}` must not be null")
        fields.append(field.with_nullable(field.nullable or array.null_count > 0))
        arrays.append(array)
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata=metadata))


def join(tables: Sequence[Any], shape: Shape) -> Any:
    """Return tables that conform to ``shape`` one after the other; an empty table when there is none."""
    if not tables:
        return shape.described(shape.plain).empty_table()
    plain = [table.replace_schema_metadata(None) for table in tables]
    alike = all(table.schema.equals(plain[0].schema) for table in plain)
    joined = pa.concat_tables(plain, promote_options="none" if alike else "default")
    return pa.Table.from_arrays(joined.columns, schema=shape.described(joined.schema))


def packed(table: Any) -> Any:
    """Return a table of many small pieces in one piece."""
    return table if table.num_rows < 2 else table.unify_dictionaries().combine_chunks()


def labelled_in_order(table: Any, shape: Shape) -> Any:
    """Return a table whose labels are numbered in the order of its rows, whatever files they came from."""
    columns = [
        table[name].cast(table.schema.field(name).type.value_type).dictionary_encode()
        if name in shape.labels
        else table[name]
        for name in table.schema.names
    ]
    return pa.Table.from_arrays(columns, schema=table.schema)


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
