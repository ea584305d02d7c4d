"""YAML as plain data: numbers as everybody writes them, and no surprises from odd or hostile files.

It is the safe subset of YAML 1.1 with these differences: ``1e-6`` is a number, ``010`` is ten, ``1:30`` and
``2026-01-31`` are text, a key may be given once, and a text that unfolds to more than ``MAX_VALUES`` is refused.
"""

from __future__ import annotations

import re
from collections.abc import Hashable

import yaml
from typing_extensions import override

MAX_VALUES = 100_000
"""The most values of a text, each counted as often as aliases repeat it."""

_INT, _FLOAT, _TIME = (f"tag:yaml.org,2002:{name}" for name in ("int", "float", "timestamp"))


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the differences named above."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (as in the base class)
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in (_INT, _FLOAT, _TIME)]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    @override
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise _error("a key must be text", key_node)
            if key_node.value in seen:
                raise _error(f"the key `{key_node.value}` is given twice", key_node)
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)

    def construct_int(self, node: yaml.ScalarNode) -> int:
        """Return the number of a node: decimal with or without leading zeros, or with 0x, 0o or 0b."""
        text = str(self.construct_scalar(node)).replace("_", "")
        return int(text, 0 if re.match("[-+]?0[xob]", text) else 10)


_Loader.add_implicit_resolver(
    _INT,
    re.compile(r"[-+]?(0x[0-9a-fA-F_]{1,99}|0o[0-7_]{1,99}|0b[01_]{1,99}|[0-9][0-9_]{0,99})$"),
    list("-+0123456789"),
)
_Loader.add_implicit_resolver(
    _FLOAT,
    re.compile(
        r"[-+]?([0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)([eE][-+]?[0-9]+)?$|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+$"
        r"|[-+]?\.(inf|Inf|INF)$|\.(nan|NaN|NAN)$"
    ),
    list("-+0123456789."),
)
_Loader.add_constructor(_INT, _Loader.construct_int)


def load(text: str | bytes) -> object:
    """Return the content of a YAML text.

    Raises:
        yaml.YAMLError: it is no YAML, or odd in a way that is refused.

    >>> load("{rate: 1e-6, seed: 010, at: 1:30}")
    {'rate': 1e-06, 'seed': 10, 'at': '1:30'}
    """
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            if _values(node, {}) > MAX_VALUES:
                raise _error(f"it must have at most {MAX_VALUES:,} values", node)
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except RecursionError:
        raise yaml.YAMLError("it is nested too deep") from None
    except (ValueError, TypeError, OverflowError, AttributeError) as error:  # of PyYAML, for odd tags
        raise yaml.YAMLError(f"a value has no meaning: {error}") from None


def _values(node: yaml.Node, known: dict[int, int]) -> int:
    """Return the number of values in a node. Those of a node that is used again are counted again.

    Raises:
        yaml.MarkedYAMLError: the node contains itself, or text that is no Unicode.
    """
    if isinstance(node, yaml.ScalarNode):
        if any("\ud800" <= character <= "\udfff" for character in node.value):
            raise _error("text must be Unicode", node)
        return 1
    if id(node) in known:
        if not known[id(node)]:
            raise _error("a value must not contain itself", node)
        return known[id(node)]
    known[id(node)] = 0  # not counted yet
    inner = (
        [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
    )
    known[id(node)] = 1 + sum(_values(part, known) for part in inner)
    return known[id(node)]


def _error(problem: str, node: yaml.Node) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
