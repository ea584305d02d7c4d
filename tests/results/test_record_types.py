"""The row types agree with the Arrow schemas."""

from __future__ import annotations

import types
from datetime import datetime
from typing import Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

import pyarrow as pa
import pytest

from results.record_types import PointRow, ProgressRow, TrialRow
from results.schema import POINTS, PROGRESS, TRIALS

ROWS = [(PointRow, POINTS), (ProgressRow, PROGRESS), (TrialRow, TRIALS)]


@pytest.mark.parametrize(("row", "schema"), ROWS)
def test_a_row_type_has_the_columns_of_its_schema(row: type, schema: pa.Schema) -> None:
    assert sorted(get_type_hints(row)) == sorted(schema.names)


@pytest.mark.parametrize(("row", "schema"), ROWS)
def test_nullable_columns_are_optional_and_the_others_are_required(row: type, schema: pa.Schema) -> None:
    for name, hint in get_type_hints(row, include_extras=True).items():
        is_optional = type(None) in get_args(_value_type(hint))
        assert is_optional == schema.field(name).nullable, name
        if get_origin(hint) is NotRequired:
            assert is_optional, name


@pytest.mark.parametrize(("row", "schema"), ROWS)
def test_a_row_type_has_the_types_of_its_schema(row: type, schema: pa.Schema) -> None:
    for name, hint in get_type_hints(row).items():
        assert _holds(_without_none(hint), schema.field(name).type), name


def _holds(hint: object, kind: pa.DataType) -> bool:
    """Whether a type hint and an Arrow type mean the same."""
    if pa.types.is_list(kind):
        return get_origin(hint) is list and _holds(get_args(hint)[0], kind.value_type)
    if pa.types.is_struct(kind):
        assert isinstance(hint, type)
        assert is_typeddict(hint)
        parts = {field.name: field.type for field in kind}
        hints = get_type_hints(hint)
        return hints.keys() == parts.keys() and all(
            _holds(_without_none(hints[name]), kind) for name, kind in parts.items()
        )
    if get_origin(hint) is Literal:
        hint = str
    if pa.types.is_dictionary(kind) or pa.types.is_string(kind):
        return hint is str
    if pa.types.is_binary(kind):
        return hint is bytes
    if pa.types.is_integer(kind):
        return hint is int
    if pa.types.is_floating(kind):
        return hint is float
    return pa.types.is_timestamp(kind) and hint is datetime


def _value_type(hint: object) -> object:
    return get_args(hint)[0] if get_origin(hint) is NotRequired else hint


def _without_none(hint: object) -> object:
    if get_origin(hint) in (Union, types.UnionType):
        (hint,) = (part for part in get_args(hint) if part is not type(None))
    return hint
