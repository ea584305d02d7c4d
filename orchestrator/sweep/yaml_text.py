"""Sweep files as text: YAML 1.1 that reads ``1e-6`` as a number and refuses duplicate keys."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from pathlib import Path

import yaml
from typing_extensions import override as overrides

from orchestrator.errors import SweepError


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the two differences named above."""

    @overrides
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = key_node.value
            if key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key `{key}` is given twice", problem_mark=key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


_EXPONENT = re.compile(r"[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$")
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("-+0123456789"))


def read(path: str | Path) -> dict[str, object]:
    """Return the mapping that a YAML file contains.

    Raises:
        SweepError: the file cannot be read, or is not a YAML mapping.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise SweepError([f"a sweep must be a readable file, but got {path}: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise SweepError([f"a sweep must be UTF-8 text, but got {path}"]) from None
    content = _parse(text, str(path))
    if not isinstance(content, dict):
        kind = "an empty file" if content is None else type(content).__name__
        raise SweepError([f"{path}: a sweep must be a mapping of keys to values, but got {kind}"])
    return content


def override(content: dict[str, object], assignments: Sequence[str]) -> dict[str, object]:
    """Return ``content`` with every ``PATH=VALUE`` of ``assignments`` set; VALUE is YAML.

    >>> override({"name": "a"}, ["strategy.trials=4", "sweep.space.splitting=[1, 2]"])
    {'name': 'a', 'strategy': {'trials': 4}, 'sweep': {'space.splitting': [1, 2]}}

    Raises:
        SweepError: every assignment that is invalid, at once.
    """
    faults: list[str] = []
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals or not path:
            faults.append(f"`--set` must be PATH=VALUE, but got {assignment!r}")
            continue
        try:
            content = _with_value(content, _split(path.strip()), _parse(text, f"--set {path}"))
        except SweepError as error:
            faults += error.lines
    if faults:
        raise SweepError(faults)
    return content


def _split(path: str) -> list[str]:
    """Split at the dots; below ``sweep`` a dotted path is a single key."""
    head, _, rest = path.partition(".")
    return [head, rest] if head == "sweep" and rest else path.split(".")


def _with_value(content: object, path: Sequence[str], value: object) -> dict[str, object]:
    head, *rest = path
    if not isinstance(content, dict):
        raise SweepError([f"`--set` must name a key in a mapping, but `{head}` would be inside {content!r}"])
    return {**content, head: _with_value(content.get(head, {}), rest, value) if rest else value}


def _parse(text: str, where: str) -> object:
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 (a subclass of the safe loader)
    except yaml.MarkedYAMLError as error:
        line = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise SweepError([f"{where}{line}: must be YAML, but {error.problem or error.context}"]) from None
    except yaml.YAMLError as error:
        raise SweepError([f"{where}: must be YAML, but {' '.join(str(error).split())}"]) from None
