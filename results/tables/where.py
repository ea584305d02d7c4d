"""``where`` expressions over a data frame, such as ``splitting in (2, 4) and accuracy > 0.9``.

They are parsed, never evaluated as Python; ``where_syntax`` has the grammar. Null is unknown, as in SQL: a comparison
with null is neither true nor false, and only rows for which the whole expression is true are kept. Times are compared
with text such as ``'2026-01-31 08:00'``, in UTC unless the text has a time zone.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.errors import WhereError, unknown_column
from results.schema import column_in
from results.tables.frames import computed
from results.tables.where_syntax import Value, column_name, parse, value_of

Mask = NDArray[np.bool_]
Compare = Callable[[Any, Any], Any]

_COMPARE: dict[type[ast.cmpop], Compare] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_SWAPPED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.Gt,
    ast.LtE: ast.GtE,
    ast.Gt: ast.Lt,
    ast.GtE: ast.LtE,
    ast.Eq: ast.Eq,
    ast.NotEq: ast.NotEq,
}
"""The comparison that holds for exchanged operands."""


def where_mask(df: pd.DataFrame, expression: str | None) -> Mask:
    """Return the mask of the rows for which the expression is true, [n]; None is true for all.

    Raises:
        WhereError: the text is not an expression, or compares values of different types.
        UnknownColumnError: a name is no column; suggests the nearest one.

    >>> df = pd.DataFrame({"splitting": [1, 2, 4], "codec": ["none", "best", None]})
    >>> where_mask(df, "splitting in (2, 4) and codec == 'best'").tolist()
    [False, True, False]
    >>> where_mask(df, "not codec == 'best'").tolist()
    [True, False, False]
    """
    if expression is None:
        return np.ones(len(df), dtype=bool)
    return _truth(parse(expression), df).true


# --- evaluation: one three-valued truth for each node of the syntax tree ---


class _Truth(NamedTuple):
    """Which rows are true, [n], and which are false, [n]; a row that is neither is unknown."""

    true: Mask
    false: Mask

    @classmethod
    def of(cls, truth: Mask, unknown: Mask) -> _Truth:
        known = ~unknown
        return cls(truth & known, ~truth & known)

    def __and__(self, other: _Truth) -> _Truth:
        return _Truth(self.true & other.true, self.false | other.false)

    def __or__(self, other: _Truth) -> _Truth:
        return _Truth(self.true | other.true, self.false & other.false)

    def __invert__(self) -> _Truth:
        return _Truth(self.false, self.true)


def _truth(node: ast.expr, df: pd.DataFrame) -> _Truth:
    if isinstance(node, ast.BoolOp):
        join = operator.and_ if isinstance(node.op, ast.And) else operator.or_
        return reduce(join, (_truth(operand, df) for operand in node.values))
    if isinstance(node, ast.UnaryOp):
        return ~_truth(node.operand, df)
    assert isinstance(node, ast.Compare)
    operands = [node.left, *node.comparators]
    comparisons = zip(node.ops, operands, operands[1:], strict=False)
    return reduce(operator.and_, (_compare(kind, left, right, df) for kind, left, right in comparisons))


def _compare(kind: ast.cmpop, left: ast.expr, right: ast.expr, df: pd.DataFrame) -> _Truth:
    name = column_name(left)
    if name is None:  # the value is on the left
        return _compare(_SWAPPED[type(kind)](), right, left, df)
    column = _column(name, df)
    null = column.isna().to_numpy()
    if isinstance(kind, (ast.Is, ast.IsNot)):
        return _Truth.of(null if isinstance(kind, ast.Is) else ~null, np.zeros(len(df), dtype=bool))
    if isinstance(kind, (ast.In, ast.NotIn)):
        assert isinstance(right, (ast.List, ast.Tuple, ast.Set))
        values = [_as_column_value(column, value_of(item)) for item in right.elts]
        among = _Truth.of(column.isin(values).to_numpy(dtype=bool), null)
        return ~among if isinstance(kind, ast.NotIn) else among
    compare = _COMPARE[type(kind)]
    other = column_name(right)
    if other is not None:
        return _compare_columns(compare, column, _column(other, df))
    return _Truth.of(_compare_value(compare, column, value_of(right)), null)


def _compare_value(compare: Compare, column: pd.Series, value: Value) -> Mask:
    operand = _as_column_value(column, value)
    if isinstance(column.dtype, pd.CategoricalDtype):  # compare each category once
        categories = np.asarray(compare(column.cat.categories, operand), dtype=bool)
        return np.append(categories, False)[column.cat.codes.to_numpy()]  # the code of null is -1
    return _without_nulls(compare(column, operand))


def _compare_columns(compare: Compare, left: pd.Series, right: pd.Series) -> _Truth:
    if _kind(left) != _kind(right):
        kinds = f"{_kind(left)} and {_kind(right)}"
        raise WhereError(f"`{left.name}` and `{right.name}` must be alike to be compared, but got {kinds}")
    null = (left.isna() | right.isna()).to_numpy()
    plain = [c.astype(str) if isinstance(c.dtype, pd.CategoricalDtype) else c for c in (left, right)]
    return _Truth.of(_without_nulls(compare(*plain)), null)


def _without_nulls(result: pd.Series) -> Mask:
    return result.fillna(False).to_numpy(dtype=bool)


def _column(name: str, df: pd.DataFrame) -> pd.Series:
    column = column_in(name, df.columns)
    if column in df.columns:
        return df[column]
    if (values := computed(df, name)) is None:
        raise unknown_column(name, df.columns)
    return values


def _kind(column: pd.Series) -> str:
    """Return what a column holds: numbers, times, text, or another dtype."""
    dtype = column.cat.categories.dtype if isinstance(column.dtype, pd.CategoricalDtype) else column.dtype
    if pd.api.types.is_numeric_dtype(dtype):
        return "numbers"
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return "times"
    is_text = pd.api.types.is_string_dtype(dtype) or pd.api.types.is_object_dtype(dtype)
    return "text" if is_text else str(dtype)


def _as_column_value(column: pd.Series, value: Value) -> Value | pd.Timestamp:
    """Return ``value`` as a value that the column can hold: text becomes a time in a column of times.

    Raises:
        WhereError: the column cannot hold it.
    """
    kind = _kind(column)
    if kind == "numbers" and not isinstance(value, str):
        return value
    if kind == "text" and isinstance(value, str):
        return value
    if kind == "times" and isinstance(value, str):
        try:
            time = pd.Timestamp(value)
        except ValueError:
            raise WhereError(f"`{column.name}` must be compared with a time, but got {value!r}") from None
        return time if time.tzinfo else time.tz_localize("UTC")
    raise WhereError(f"`{column.name}` holds {kind}, but got {value!r} to compare it with")
