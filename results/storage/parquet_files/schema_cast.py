"""From stored tables to tables of the schema: checked, cast where nothing is lost, and concatenated.

Thousands of files of one trial each go through here, so each takes microseconds: a table of the right types is not
touched, and descriptions are added once, after concatenation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from results.errors import BrokenFileError
from results.schema import TABLE_KEY, VERSION, schema_version


class ColumnSelection:
    """Some columns of a schema, in the order of the schema.

    Attributes:
        schema: the complete schema.
        fields: the selected fields, with descriptions.
        names: their names.
        labels: the names of those that are dictionary-encoded.
        bare: a schema of the selected fields, without descriptions.
        table: the name of the table, as stored in its metadata.
    """

    def __init__(self, schema: pa.Schema, columns: Iterable[str] | None = None) -> None:
        selected = set(schema.names if columns is None else columns)
        self.schema = schema
        self.fields: list[pa.Field] = [field for field in schema if field.name in selected]
        self.names: list[str] = [field.name for field in self.fields]
        self.labels: list[str] = [field.name for field in self.fields if pa.types.is_dictionary(field.type)]
        self.bare: pa.Schema = pa.schema([field.remove_metadata() for field in self.fields])
        self.table: bytes = schema.metadata[TABLE_KEY]

    def described(self, fields: Iterable[pa.Field]) -> pa.Schema:
        """Return the selected fields with descriptions, each nullable if its counterpart in ``fields`` is."""
        described = [
            own.with_nullable(stored.nullable) for own, stored in zip(self.fields, fields, strict=True)
        ]
        return pa.schema(described, metadata=self.schema.metadata)


def cast_to_schema(table: pa.Table, selection: ColumnSelection) -> pa.Table:
    """Return the selected columns with the types of the schema; columns that older versions lack become null.

    Raises:
        BrokenFileError: the table is not ours, lacks a column, or holds another type.
    """
    metadata = table.schema.metadata or {}
    if metadata.get(TABLE_KEY) != selection.table:
        raise BrokenFileError(f"not a table of {selection.table.decode()}")
    if table.schema.equals(selection.bare):  # Parquet cannot store nulls in required columns
        return table
    older = (schema_version(table.schema) or 0) < VERSION
    fields, arrays = [], []
    for field in selection.bare:
        array = _cast_column(table, field, older)
        if array.null_count and not (field.nullable or older):
            raise BrokenFileError(f"`{field.name}` must not be null")
        fields.append(field.with_nullable(field.nullable or array.null_count > 0))
        arrays.append(array)
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata=metadata))


def join(tables: Sequence[pa.Table], selection: ColumnSelection) -> pa.Table:
    """Concatenate tables that conform to ``selection``; without any, return an empty table."""
    if not tables:
        return selection.described(selection.bare).empty_table()
    bare = [table.replace_schema_metadata(None) for table in tables]
    alike = all(table.schema.equals(bare[0].schema) for table in bare)
    joined = pa.concat_tables(bare, promote_options="none" if alike else "default")
    return pa.Table.from_arrays(joined.columns, schema=selection.described(joined.schema))


def packed(table: pa.Table) -> pa.Table:
    """Return a table of many small chunks as one chunk."""
    return table if table.num_rows < 2 else table.unify_dictionaries().combine_chunks()


def labelled_in_order(table: pa.Table, selection: ColumnSelection) -> pa.Table:
    """Return a table whose labels are encoded in the order of its rows, independent of the files they came from."""
    columns = [
        _in_order(table[name]) if name in selection.labels else table[name] for name in table.schema.names
    ]
    return pa.Table.from_arrays(columns, schema=table.schema)


def _in_order(labels: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return labels whose different values are in the order of their first rows. They are not repeated meanwhile."""
    array = labels.unify_dictionaries().combine_chunks()
    array = array.chunk(0) if isinstance(array, pa.ChunkedArray) else array
    numbers = array.indices.unique().drop_null()
    indices = pc.index_in(array.indices, numbers).cast(array.type.index_type)
    ordered = pa.DictionaryArray.from_arrays(indices, array.dictionary.take(numbers))
    return pa.chunked_array([ordered], array.type)


def _cast_column(table: pa.Table, field: pa.Field, older: bool) -> pa.ChunkedArray:
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
