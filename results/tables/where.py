"""``where`` expressions: ``splitting in (2, 4) and accuracy > 0.9 and not codec == 'none'``. Parsed, never
evaluated as Python. The grammar is in ``where_syntax``.

Null is unknown, as in SQL: a comparison with it is neither true nor false, and only rows for which the whole
is true are kept. Times compare with text such as '2026-01-31 08:00' (UTC).
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.errors import WhereError, unknown_column
from results.tables.where_syntax import column_name, parse, value_of

Compare = Callable[[Any, Any], Any]

_COMPARE: dict[type[ast.cmpop], Compare] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_TURNED = {
    ast.Lt: ast.Gt,
    ast.LtE: ast.GtE,
    ast.Gt: ast.Lt,
    ast.GtE: ast.LtE,
    ast.Eq: ast.Eq,
    ast.NotEq: ast.NotEq,
}


def where_mask(df: pd.DataFrame, expression: str | None) -> NDArray[np.bool_]:
    """Return for which rows of ``df`` the expression is true, [n]; None is true for all.

    Errors: ``WhereError`` for what is no expression, ``UnknownColumnError`` with the nearest column.

    >>> df = pd.DataFrame({"splitting": [1, 2, 4], "codec": ["none", "best", "best"]})
    >>> where_mask(df, "splitting in (2, 4) and codec == 'best'").tolist()
    [False, True, True]
    """
    if expression is None:
        return np.ones(len(df), dtype=bool)
    truth = _truth(parse(expression), df)
    return np.asarray(truth.fillna(False), dtype=bool)


# --- evaluation: three-valued truth, one pandas BooleanArray a node ---


def _truth(node: ast.expr, df: pd.DataFrame) -> Any:
    if isinstance(node, ast.BoolOp):
        truth = _truth(node.values[0], df)
        for part in node.values[1:]:
            other = _truth(part, df)
            truth = truth & other if isinstance(node.op, ast.And) else truth | other
        return truth
    if isinstance(node, ast.UnaryOp):
        return ~_truth(node.operand, df)
    assert isinstance(node, ast.Compare)
    operands = [node.left, *node.comparators]
    truths = [
        _compare(kind, left, right, df)
        for kind, left, right in zip(node.ops, operands, operands[1:], strict=False)
    ]
    whole = truths[0]
    for truth in truths[1:]:
        whole = whole & truth
    return whole


def _compare(kind: ast.cmpop, left: ast.expr, right: ast.expr, df: pd.DataFrame) -> Any:
    name = column_name(left)
    if name is None:  # a value on the left: turn the comparison round
        return _compare(_TURNED[type(kind)](), right, left, df)
    column = _column(name, df)
    if isinstance(kind, (ast.Is, ast.IsNot)):
        null = column.isna().to_numpy()
        return _three_valued(null if isinstance(kind, ast.Is) else ~null, np.zeros(len(df), dtype=bool))
    if isinstance(kind, (ast.In, ast.NotIn)):
        assert isinstance(right, (ast.List, ast.Tuple, ast.Set))
        among = _among(column, [value_of(item, "") for item in right.elts])
        return ~among if isinstance(kind, ast.NotIn) else among
    compare = _COMPARE[type(kind)]
    other = column_name(right)
    if other is not None:
        return _compare_columns(compare, column, _column(other, df))
    return _compare_value(compare, column, value_of(right, ""))


def _compare_value(compare: Compare, column: pd.Series[Any], value: Any) -> Any:
    value = _matching(column, value)
    if isinstance(column.dtype, pd.CategoricalDtype):  # compare each category once
        categories = np.asarray(compare(column.cat.categories, value), dtype=bool)
        codes = column.cat.codes.to_numpy()
        found = np.append(categories, False)[codes]
        return _three_valued(found, codes < 0)
    return _known(compare(column, value), column.isna().to_numpy())


def _compare_columns(compare: Compare, left: pd.Series[Any], right: pd.Series[Any]) -> Any:
    if _kind(left) != _kind(right):
        kinds = f"{_kind(left)} and {_kind(right)}"
        raise WhereError(f"`{left.name}` and `{right.name}` must be alike to be compared, but got {kinds}")
    null = (left.isna() | right.isna()).to_numpy()
    plain = [c.astype(str) if isinstance(c.dtype, pd.CategoricalDtype) else c for c in (left, right)]
    return _known(compare(*plain), null)


def _among(column: pd.Series[Any], values: Sequence[Any]) -> Any:
    return _three_valued(
        column.isin([_matching(column, v) for v in values]).to_numpy(), column.isna().to_numpy()
    )


def _known(result: Any, null: NDArray[np.bool_]) -> Any:
    return _three_valued(result.fillna(False).to_numpy(dtype=bool), null)


def _three_valued(truth: NDArray[np.bool_], unknown: NDArray[np.bool_]) -> Any:
    return pd.arrays.BooleanArray(np.array(truth, dtype=bool), np.array(unknown, dtype=bool))


def _column(name: str, df: pd.DataFrame) -> pd.Series[Any]:
    if name not in df.columns:
        raise unknown_column(name, df.columns)
    return df[name]


def _kind(column: pd.Series[Any]) -> str:
    dtype = column.cat.categories.dtype if isinstance(column.dtype, pd.CategoricalDtype) else column.dtype
    if pd.api.types.is_numeric_dtype(dtype):
        return "numbers"
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return "times"
    is_text = pd.api.types.is_string_dtype(dtype) or pd.api.types.is_object_dtype(dtype)
    return "text" if is_text else str(dtype)


def _matching(column: pd.Series[Any], value: Any) -> Any:
    """Return ``value`` as the column's values are. Error: ``WhereError`` when it cannot be one of them."""
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
