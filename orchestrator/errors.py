"""What can be wrong with a sweep: every fault at once, one line each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from results.errors import nearest
from shrinksweep import ShrinksweepError


class OrchestratorError(ShrinksweepError, ValueError):
    """Base of the errors of this room."""


class SweepError(OrchestratorError):
    """A sweep that cannot be launched. ``lines``: one fault a line, the rule and the value received."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = list(lines)
        super().__init__("\n".join(self.lines))

    def __reduce__(self) -> tuple[type[SweepError], tuple[list[str]]]:
        return type(self), (self.lines,)


class LaunchError(OrchestratorError):
    """A launch that cannot start or go on, such as a cluster that is not there or a disk that stays full."""


def fault_lines(error: ValidationError, model: type[BaseModel], prefix: str = "") -> list[str]:
    """Return one line for every fault that pydantic found in data for ``model``."""
    faults = error.errors(include_url=False)
    return [_line(fault, model, prefix) for fault in faults if not _follows(fault)]


def _follows(fault: Mapping[str, Any]) -> bool:
    """Say whether a list is called too short only because its faulty entries, named elsewhere, do not count."""
    return fault["type"] == "too_short" and len(fault["input"]) >= fault["ctx"]["min_length"]


def without_faults(content: Any, error: ValidationError, *inside: str) -> Any:
    """Return a copy of the mapping ``content`` without the entries that ``error`` names below the place ``inside``.

    Faults of a whole block (how its entries fit together) leave it as it is.
    """
    places = [
        fault["loc"][len(inside) :] for fault in error.errors() if fault["loc"][: len(inside)] == inside
    ]
    for place in places:
        content = _without(content, place)
    return content


def _without(content: Any, place: tuple[str | int, ...]) -> Any:
    if not place or not isinstance(content, Mapping) or place[0] not in content:
        return content
    inner = content[place[0]]
    if len(place) > 1 and isinstance(inner, Mapping):
        return {**content, place[0]: _without(inner, place[1:])}
    if len(place) == 1 and isinstance(inner, Mapping):
        return content
    return {key: value for key, value in content.items() if key != place[0]}


def _line(fault: Mapping[str, Any], model: type[BaseModel], prefix: str) -> str:
    place = tuple(fault["loc"])
    path = (prefix + _dotted(place)).removesuffix(".")
    if fault["type"] == "extra_forbidden":
        return f"unknown key `{path}`{nearest(str(place[-1]), _fields_at(model, place[:-1]))}"
    if fault["type"] == "missing":
        return f"`{path}` must be given, but it is missing"
    if fault["type"] == "value_error":
        where = f"{path}: " if path else ""
        return where + str(fault["ctx"]["error"])
    return f"`{path}` {rule_of(fault)}, but got {fault['input']!r}"


def rule_of(fault: Mapping[str, Any]) -> str:
    """Return pydantic's message as the rule that was broken: ``must be ...``."""
    subject, should, rule = str(fault["msg"]).partition(" should ")
    return f"must {rule}" if should and " " not in subject else f"must be right: {fault['msg']}"


def _dotted(place: tuple[str | int, ...]) -> str:
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def _fields_at(model: type[BaseModel], place: tuple[str | int, ...]) -> list[str]:
    for part in place:
        field = model.model_fields.get(str(part))
        inner = field.annotation if field else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        model = inner
    return list(model.model_fields)
