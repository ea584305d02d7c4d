"""Pydantic's validation errors as lines for the user: the rule and the value received."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sized
from typing import cast

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from results.errors import nearest, shown
from results.schema import path_of_column

Location = tuple[str | int, ...]
"""Path to a value: keys of mappings and indices into lists."""


def fault_lines(error: ValidationError, model: type[BaseModel], prefix: str = "") -> list[str]:
    """Return one line for each fault that pydantic found in data for ``model``; ``prefix`` goes before its path."""
    faults = error.errors(include_url=False)
    return [_line(fault, model, prefix) for fault in faults if not _is_consequence(fault)]


def _is_consequence(fault: ErrorDetails) -> bool:
    """Whether a list counts as too short only because pydantic dropped its invalid items, reported separately."""
    if fault["type"] != "too_short":
        return False
    return len(cast(Sized, fault["input"])) >= fault["ctx"]["min_length"]


def without_faults(content: object, error: ValidationError, *parent: str) -> object:
    """Return a copy of ``content``, the mapping at the path ``parent``, without the entries that ``error`` names.

    A fault of a whole block (its entries do not fit together) removes nothing.
    """
    for fault in error.errors():
        if fault["loc"][: len(parent)] == parent:
            content = _without(content, fault["loc"][len(parent) :])
    return content


def _without(content: object, location: Location) -> object:
    if not location or not isinstance(content, Mapping) or location[0] not in content:
        return content
    key, *rest = location
    inner = content[key]
    if isinstance(inner, Mapping):
        return {**content, key: _without(inner, tuple(rest))} if rest else content
    return {name: value for name, value in content.items() if name != key}


def rule_of(fault: ErrorDetails) -> str:
    """Return pydantic's message as the rule that was broken: ``must be ...``."""
    subject, should, rule = fault["msg"].partition(" should ")
    return f"must {rule}" if should and " " not in subject else f"must be valid: {fault['msg']}"


def _line(fault: ErrorDetails, model: type[BaseModel], prefix: str) -> str:
    location = fault["loc"]
    path = (prefix + _dotted(location)).removesuffix(".")
    if fault["type"] == "extra_forbidden":
        return f"unknown key `{path}`{_hint(str(location[-1]), location[:-1], model, prefix)}"
    if fault["type"] == "missing":
        return f"`{path}` must be given, but it is missing"
    if fault["type"] == "value_error":
        return (f"{path}: " if path else "") + str(fault["ctx"]["error"])
    return f"`{path}` {rule_of(fault)}, but got {shown(fault['input'])}"


def _hint(name: str, parent: Location, model: type[BaseModel], prefix: str) -> str:
    """Return where a key belongs that has the name of a field elsewhere, or else the nearest name at its place."""
    field = path_of_column(name) or name
    homes = [path for path in _paths(model) if f".{path}".endswith((f".{field}", f".{name}"))]
    return f"; did you mean `{prefix}{homes[0]}`?" if homes else nearest(name, _fields_at(model, parent))


def _paths(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield the dotted paths of all fields and blocks."""
    for name, field in model.model_fields.items():
        yield prefix + name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _paths(field.annotation, f"{prefix}{name}.")


def _dotted(location: Location) -> str:
    """Return a location as text.

    >>> _dotted(("ladder", "threshold", 0))
    'ladder.threshold[0]'
    """
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return text.removeprefix(".")


def _fields_at(model: type[BaseModel], location: Location) -> list[str]:
    """Return the field names of the model nested in ``model`` at ``location``; none where there is no model."""
    for part in location:
        field = model.model_fields.get(str(part))
        inner = field.annotation if field else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        model = inner
    return list(model.model_fields)
