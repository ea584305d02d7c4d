"""The grammar of ``where`` expressions: what a syntax tree may hold, and nothing else.

expression := comparison | expression and expression | expression or expression | not expression | (
expression ) comparison := operand (== | != | < | <= | > | >=) operand ... | column [not] in (value, ...)
| column is [not] null operand    := column | value           column := a name, or the dotted path of a
swept field value      := a number | 'text' | True | False
"""

from __future__ import annotations

import ast
import warnings

from results.errors import WhereError
from results.schema import column_of_path

LONGEST = 10_000
LARGEST = 2**63

Value = bool | int | float | str
ORDERINGS = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE)


def parse(expression: str) -> ast.expr:
    """Return the syntax tree of an expression; nothing but what this module's head allows is in it.

    Error: ``WhereError``, one line.
    """
    if not isinstance(expression, str) or not expression.strip() or len(expression) > LONGEST:
        raise WhereError(f"`where` must be an expression over the columns, but got {_short(expression)}")
    try:
        with warnings.catch_warnings(action="ignore"):  # Python's remarks on the text as Python
            tree = ast.parse(expression.strip(), mode="eval").body
        _check(tree, expression)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        if isinstance(error, WhereError):
            raise
        raise WhereError(
            f"`where` must be an expression over the columns, but got {_short(expression)}{_hint(expression)}"
        ) from None
    return tree


def _check(node: ast.expr, text: str) -> None:
    """Refuse everything that is no truth value made of comparisons."""
    if isinstance(node, ast.BoolOp):
        for part in node.values:
            _check(part, text)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        _check(node.operand, text)
    elif isinstance(node, ast.Compare):
        _check_comparison(node, text)
    else:
        raise WhereError(f"`where` must be made of comparisons, but got {_piece(node, text)}{_hint(text)}")


def _check_comparison(node: ast.Compare, text: str) -> None:
    operands = [node.left, *node.comparators]
    for kind, left, right in zip(node.ops, operands, operands[1:], strict=False):
        if isinstance(kind, (ast.In, ast.NotIn)):
            if not isinstance(right, (ast.List, ast.Tuple, ast.Set)):
                raise WhereError(f"`in` must be followed by a list of values, but got {_piece(right, text)}")
            for item in right.elts:
                value_of(item, text)
        elif isinstance(kind, (ast.Is, ast.IsNot)):
            if not _is_null(right):
                raise WhereError(f"`is` must be followed by null, but got {_piece(right, text)}")
        elif isinstance(kind, ORDERINGS):
            _check_operand(right, text)
        _check_operand(left, text)
        if column_name(left) is None and (column_name(right) is None or not isinstance(kind, ORDERINGS)):
            raise WhereError(f"a comparison must name a column, but got {_piece(node, text)}")


def _check_operand(node: ast.expr, text: str) -> None:
    if _is_null(node):
        raise WhereError(f"null must be compared with `is null` or `is not null`, but got {_short(text)}")
    if column_name(node) is None:
        value_of(node, text)


def value_of(node: ast.expr, text: str) -> Value:
    """Return the number, text or truth value that a node stands for."""
    sign = 1
    inner = node
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        sign, inner = (-1 if isinstance(node.op, ast.USub) else 1), node.operand
    value = inner.value if isinstance(inner, ast.Constant) else None
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < LARGEST:
        return sign * value
    if isinstance(value, (bool, str)) and inner is node:
        return value
    piece = _piece(node, text)
    raise WhereError(f"`where` must compare columns, numbers and quoted text, but got {piece}{_hint(text)}")


def column_name(node: ast.AST) -> str | None:
    """Return the column that a name or a dotted path stands for, else None."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    path = ".".join([node.id, *reversed(parts)])
    return column_of_path(path) if parts else path


def _is_null(node: ast.expr) -> bool:
    return (isinstance(node, ast.Constant) and node.value is None) or column_name(node) == "null"


def _piece(node: ast.AST, text: str) -> str:
    return _short(ast.get_source_segment(text.strip(), node) or text)


def _short(text: object) -> str:
    shown = repr(text)
    return shown if len(shown) <= 80 else f"{shown[:60]}... ({len(shown)} characters)"


def _hint(text: str) -> str:
    if "&" in text or "|" in text:
        return "; write `and`, `or`"
    if "=" in text.replace("==", "").replace("!=", "").replace("<=", "").replace(">=", ""):
        return "; write == to compare"
    return ""
