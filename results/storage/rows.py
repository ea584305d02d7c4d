"""Rows to tables, strictly: every column of the schema, no other column, no value of another type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from results.errors import SchemaError, nearest


def table_from_rows(schema: Any, rows: Sequence[Mapping[str, Any]]) -> Any:
    """Build a ``pa.Table`` of ``schema`` from one mapping a row.

    A nullable column may be left out of a row; nothing else may be missing, unknown, null or of another type.
    Whole numbers are taken for real ones, but not the other way round, and a bool is no number.

    Errors: ``SchemaError``, one line that names the table's column, the row and the value received.
    """
    names = set(schema.names)
    for place, row in enumerate(rows):
        for name in row:
            if name not in names:
                raise SchemaError(f"row {place}: there is no column `{name}`{nearest(str(name), names)}")
    return pa.Table.from_arrays([_array(field, rows) for field in schema], schema=schema)


def _array(field: Any, rows: Sequence[Mapping[str, Any]]) -> Any:
    values = []
    for place, row in enumerate(rows):
        value = row.get(field.name)
        if value is None and not field.nullable:
            what = "is null" if field.name in row else "is missing"
            raise SchemaError(f"row {place}: `{field.name}` must be given, but it {what}")
        values.append(_checked(value, field.type, f"row {place}: `{field.name}`"))
    try:
        return pa.array(values, field.type)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise SchemaError(
            f"`{field.name}` must hold {field.type}, but got {_culprit(values, field)}"
        ) from error


def _checked(value: Any, kind: Any, where: str) -> Any:
    """Return ``value`` if Arrow would not bend it, as it takes True for 1.0 and drops unknown struct keys."""
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
    elif not pa.types.is_timestamp(kind) and not isinstance(value, str):
        raise SchemaError(f"{where} must be text, but got {value!r}")
    return value


def _checked_struct(value: Any, kind: Any, where: str) -> dict[str, Any]:
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


def _culprit(values: Iterable[Any], field: Any) -> str:
    for value in values:
        try:
            pa.array([value], field.type)
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            return repr(value)
    return "values of several types"
