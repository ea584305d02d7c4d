"""The grammar of ``where`` expressions, and a parser that accepts nothing else.

    expression := comparison
                | expression "and" expression
                | expression "or" expression
                | "not" expression
                | "(" expression ")"
    comparison := operand ordering operand
                | column ["not"] "in" values
                | column "is" ["not"] "null"
    ordering   := "==" | "!=" | "<" | "<=" | ">" | ">="
    operand    := column | value
    values     := "[" [value ("," value)*] "]"
    column     := name, also as tables show it (s, lambda, tau) | dotted path of a field, such as space.splitting
    value      := number | text in quotes | "True" | "False"

``not`` binds tighter than ``and``, and ``and`` tighter than ``or``. At least one operand of a comparison is a column.
Comparisons chain as in Python: ``0.1 < threshold <= 0.2``. Values may also be in parentheses or braces, ``(2, 4)`` or
``{2, 4}``; a single one in parentheses needs a comma, ``(4,)``. ``None`` is the same as ``null``.
"""

from __future__ import annotations

import ast
import re
import warnings

from results.errors import WhereError

MAX_LENGTH = 10_000
"""Longest expression, in characters."""
MAX_NUMBER = 2**63
"""Numbers in an expression must be smaller in magnitude."""

Value = bool | int | float | str
ORDERINGS = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE)


def parse(expression: str) -> ast.expr:
    """Return the syntax tree of an expression. It holds nothing but what the grammar allows.

    Raises:
        WhereError: the text does not follow the grammar; one line.

    >>> ast.unparse(parse("splitting in (2, 4) and not accuracy <= 0.9"))
    'splitting in (2, 4) and (not accuracy <= 0.9)'
    >>> parse("s = 4")
    Traceback (most recent call last):
    results.errors.WhereError: `where` must be an expression over the columns, but got 's = 4'; write == to compare
    """
    if not isinstance(expression, str) or not expression.strip() or len(expression) > MAX_LENGTH:
        raise WhereError(f"`where` must be an expression over the columns, but got {_shortened(expression)}")
    try:
        with warnings.catch_warnings(action="ignore"):  # Python warns about doubtful code, such as "is 3"
            tree = ast.parse(_without_keyword(expression.strip()), mode="eval").body
        _check(tree, expression)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        if isinstance(error, WhereError):
            raise
        raise WhereError(
            "`where` must be an expression over the columns, "
            f"but got {_shortened(expression)}{_hint(expression)}"
        ) from None
    return tree


_LAMBDA = "lambda", "Lambda"
"""The name of a column that is a keyword of Python, and a name of the same length that stands for it."""

_TEXT_OR_LAMBDA = re.compile(r"'[^']*'|\"[^\"]*\"|\blambda\b")


def _without_keyword(text: str) -> str:
    return _TEXT_OR_LAMBDA.sub(lambda found: _LAMBDA[1] if found[0] == _LAMBDA[0] else found[0], text)


def _check(node: ast.expr, text: str) -> None:
    """Check that a node is a comparison, or made of comparisons with ``and``, ``or`` and ``not``."""
    if isinstance(node, ast.BoolOp):
        for operand in node.values:
            _check(operand, text)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        _check(node.operand, text)
    elif isinstance(node, ast.Compare):
        _check_comparison(node, text)
    else:
        raise WhereError(f"`where` must be made of comparisons, but got {_source(node, text)}{_hint(text)}")


def _check_comparison(node: ast.Compare, text: str) -> None:
    operands = [node.left, *node.comparators]
    for operator, left, right in zip(node.ops, operands, operands[1:], strict=False):
        if isinstance(operator, (ast.In, ast.NotIn)):
            if not isinstance(right, (ast.List, ast.Tuple, ast.Set)):
                raise WhereError(f"`in` must be followed by a list of values, but got {_source(right, text)}")
            for item in right.elts:
                value_of(item, text)
        elif isinstance(operator, (ast.Is, ast.IsNot)):
            if not _is_null(right):
                raise WhereError(f"`is` must be followed by null, but got {_source(right, text)}")
        elif isinstance(operator, ORDERINGS):
            _check_operand(right, text)
        _check_operand(left, text)
        has_column = column_name(left) is not None or (
            isinstance(operator, ORDERINGS) and column_name(right) is not None
        )
        if not has_column:
            raise WhereError(f"a comparison must name a column, but got {_source(node, text)}")


def _check_operand(node: ast.expr, text: str) -> None:
    if _is_null(node):
        raise WhereError(f"null must be compared with `is null` or `is not null`, but got {_shortened(text)}")
    if column_name(node) is None:
        value_of(node, text)


def value_of(node: ast.expr, text: str = "") -> Value:
    """Return the number, text or truth value of a node; ``text`` is the expression, for the message.

    Raises:
        WhereError: the node is something else.

    >>> value_of(parse("accuracy > -0.5").comparators[0])
    -0.5
    """
    sign = 1
    operand = node
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        sign, operand = (-1 if isinstance(node.op, ast.USub) else 1), node.operand
    value = operand.value if isinstance(operand, ast.Constant) else None
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < MAX_NUMBER:
        return sign * value
    if isinstance(value, (bool, str)) and operand is node:
        return value
    raise WhereError(
        f"`where` must compare columns, numbers and quoted text, but got {_source(node, text)}{_hint(text)}"
    )


def column_name(node: ast.AST) -> str | None:
    """Return the name or the dotted path that a node is; None for any other node.

    >>> column_name(parse("space.splitting == 4").left), column_name(parse("lambda < 1").left)
    ('space.splitting', 'lambda')
    """
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    name = _LAMBDA[0] if node.id == _LAMBDA[1] else node.id
    return ".".join([name, *reversed(attributes)])


def _is_null(node: ast.expr) -> bool:
    return (isinstance(node, ast.Constant) and node.value is None) or column_name(node) == "null"


def _source(node: ast.AST, text: str) -> str:
    return _shortened(ast.get_source_segment(text.strip(), node) or text)


def _shortened(text: object) -> str:
    shown = repr(text)
    return shown if len(shown) <= 80 else f"{shown[:60]}... ({len(shown)} characters)"


def _hint(text: str) -> str:
    """Return advice for two frequent mistakes: ``&`` for ``and``, ``=`` for ``==``."""
    if "&" in text or "|" in text:
        return "; write `and`, `or`"
    if "=" in text.replace("==", "").replace("!=", "").replace("<=", "").replace(">=", ""):
        return "; write == to compare"
    return ""
