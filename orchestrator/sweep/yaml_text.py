"""Sweep files as text: reading them, and overriding their fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from orchestrator.errors import SweepError
from results.paths import local_path
from results.schema import path_of_column
from results.storage import plain_yaml
from trials.config import TrialConfig

MAX_BYTES = 1_000_000
"""The largest sweep file."""


def read(path: str | Path) -> dict[str, object]:
    """Return the mapping that a YAML file contains.

    Raises:
        SweepError: the file cannot be read, or is not a YAML mapping.
    """
    try:
        with local_path(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        text = content.decode()
    except OSError as error:
        raise SweepError([f"a sweep must be a readable file, but got {path}: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise SweepError([f"a sweep must be UTF-8 text, but got {path}"]) from None
    if len(content) > MAX_BYTES:
        raise SweepError([f"a sweep must have at most {MAX_BYTES:,} bytes, but got more in {path}"])
    sweep = _parse(text, str(path))
    if not isinstance(sweep, dict):
        kind = "an empty file" if sweep is None else type(sweep).__name__
        raise SweepError([f"{path}: a sweep must be a mapping of keys to values, but got {kind}"])
    return sweep


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
            content = _with_value(content, _keys(path.strip(), content), _parse(text, f"--set {path}"))
        except SweepError as error:
            faults += error.lines
    if faults:
        raise SweepError(faults)
    return content


def _keys(path: str, content: Mapping[str, object]) -> list[str]:
    """Return the keys that lead to ``path``. Below ``sweep`` a dotted path is a single key.

    The name of a column, as tables show it, is its field: ``lambda`` and ``trial.lambda`` are
    ``trial.feature_maps.regularization``.

    Raises:
        SweepError: the name of a column stands for a field that is swept.
    """
    head, dot, rest = path.partition(".")
    if not dot and (field := _field_of_column(path)):
        swept = content.get("sweep")
        if isinstance(swept, Mapping) and field in swept:
            raise SweepError([f"`--set {path}` must name a field that is not swept: set `sweep.{path}`"])
        return ["trial", *field.split(".")]
    field = _field_of_column(rest) or rest if head in ("trial", "sweep") else rest
    if head == "sweep" and rest:
        return [head, field]
    return [head, *field.split(".")] if dot else [head]


def _field_of_column(name: str) -> str | None:
    return None if name in TrialConfig.model_fields else path_of_column(name)


def _with_value(content: object, path: Sequence[str], value: object) -> dict[str, object]:
    head, *rest = path
    if not isinstance(content, dict):
        raise SweepError([f"`--set` must name a key in a mapping, but `{head}` would be inside {content!r}"])
    return {**content, head: _with_value(content.get(head, {}), rest, value) if rest else value}


def _parse(text: str, where: str) -> object:
    try:
        return plain_yaml.load(text)
    except yaml.MarkedYAMLError as error:
        line = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
        problem = (error.problem or error.context or "it cannot be read").removeprefix("but ")
        raise SweepError([f"{where}{line}: must be YAML, but {problem}"]) from None
    except yaml.YAMLError as error:
        raise SweepError([f"{where}: must be YAML, but {' '.join(str(error).split())}"]) from None
