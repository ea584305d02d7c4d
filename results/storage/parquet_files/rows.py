"""From rows to tables, strictly: every column of the schema, no other column, no value of another type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa

from results.errors import SchemaError, nearest


def table_from_rows(schema: pa.Schema, rows: Sequence[Mapping[str, object]]) -> pa.Table:
    """Build a table of ``schema`` from one mapping a row.

    Nullable columns may be left out. Integers are accepted as real numbers, but real numbers not as integers, and a
    bool is not a number.

    Raises:
        SchemaError: the first column that is unknown, missing, null or of another type, with row and value, in one
            line.
    """
    names = set(schema.names)
    for index, row in enumerate(rows):
        for name in row:
            if name not in names:
                raise SchemaError(f"row {index}: there is no column `{name}`{nearest(str(name), names)}")
    return pa.Table.from_arrays([_array(field, rows) for field in schema], schema=schema)


def _array(field: pa.Field, rows: Sequence[Mapping[str, object]]) -> pa.Array:
    values = []
    for index, row in enumerate(rows):
        value = row.get(field.name)
        if value is None and not field.nullable:
            fault = "is null" if field.name in row else "is missing"
            raise SchemaError(f"row {index}: `{field.name}` must be given, but it {fault}")
        values.append(_checked(value, field.type, f"row {index}: `{field.name}`"))
    try:
        return pa.array(values, field.type)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise SchemaError(
            f"`{field.name}` must hold {field.type}, but got {_culprit(values, field)}"
        ) from error


def _checked(value: object, kind: pa.DataType, where: str) -> object:
    """Return ``value`` if it has the type ``kind``. Arrow itself takes True for 1.0 and drops unknown struct keys."""
    if value is None:
        return None
    if pa.types.is_floating(kind) or pa.types.is_integer(kind):
        whole = pa.types.is_integer(kind)
        allowed = (int, np.integer) if whole else (int, float, np.integer, np.floating)
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, allowed):
            raise SchemaError(f"{where} must be a {'whole ' if whole else ''}number, but got {value!r}")
    elif pa.types.is_list(kind):
        if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
            raise SchemaError(f"{where} must be a list, but got {value!r}")
        return [_checked(item, kind.value_type, where) for item in value]
    elif pa.types.is_struct(kind):
        return _checked_struct(value, kind, where)
    elif pa.types.is_binary(kind):
        if not isinstance(value, bytes):
            raise SchemaError(f"{where} must be bytes, but got {value!r}")
    elif not pa.types.is_timestamp(kind) and not isinstance(value, str):
        raise SchemaError(f"{where} must be text, but got {value!r}")
    return value


def _checked_struct(value: object, kind: pa.StructType, where: str) -> dict[str, object]:
    if not isinstance(value, Mapping):
        raise SchemaError(f"{where} must hold mappings, but got {value!r}")
    fields = {field.name: field for field in kind}
    for name in value:
        if name not in fields:
            raise SchemaError(f"{where} has no part `{name}`{nearest(str(name), fields)}")
    for name, field in fields.items():
        if value.get(name) is None and not field.nullable:
            raise SchemaError(f"{where}: part `{name}` must be given, but it is missing or null")
    return {name: _checked(value.get(name), field.type, f"{where}.{name}") for name, field in fields.items()}


def _culprit(values: Iterable[object], field: pa.Field) -> str:
    for value in values:
        try:
            pa.array([value], field.type)
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            return repr(value)
    return "values of several types"
