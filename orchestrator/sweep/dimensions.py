"""Dimensions of a sweep: one for each swept path into the trial configuration.

A dimension is a list of values or a range. ``at(u)`` maps the unit interval onto it; ``value(index)`` enumerates it
where it is finite. Several paths swept together are one dimension, see ``orchestrator.sweep.joint_dimensions``.
"""

from __future__ import annotations

import json
import math
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from orchestrator.sweep.faults import rule_of
from results.errors import nearest, shown
from results.schema import path_of_column, paths_of
from trials.config import LADDER_LISTS, TrialConfig

FieldValue: TypeAlias = "str | int | float | bool | Sequence[FieldValue] | None"
"""The value of a configuration field: a scalar, or a sequence of scalars."""

Assignment = dict[str, FieldValue]
"""One value for each swept path; for paths swept together, one tuple."""


@dataclass(frozen=True)
class Values:
    """A list of values, in the order given."""

    path: str
    choices: tuple[FieldValue, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        """The single paths: more than one where fields are swept together."""
        return paths_of(self.path)

    @property
    def size(self) -> int:
        """The number of values."""
        return len(self.choices)

    @property
    def ordered(self) -> bool:
        """Whether the values are numbers in increasing order."""
        numbers = [v for v in self.choices if isinstance(v, int | float) and not isinstance(v, bool)]
        return len(numbers) == self.size and numbers == sorted(numbers)

    def __contains__(self, value: object) -> bool:
        return as_text(value) in map(as_text, self.choices)

    def value(self, index: int) -> FieldValue:
        """Return the value at ``index``."""
        return self.choices[index]

    def at(self, u: float) -> FieldValue:
        """Return the value at the fraction ``u`` of the list, 0 <= u <= 1."""
        return self.choices[min(int(u * self.size), self.size - 1)]


@dataclass(frozen=True)
class Range:
    """All numbers from ``low`` to ``high``, both included; a grid where ``step`` is given."""

    path: str
    low: float
    high: float
    log: bool = False
    step: float | None = None
    integer: bool = False

    @property
    def paths(self) -> tuple[str, ...]:
        """The path, as the only one."""
        return (self.path,)

    @property
    def size(self) -> int | None:
        """The number of values; None: not counted (continuous or logarithmic)."""
        if self.step is None:
            return None
        return math.floor((self.high - self.low) / self.step + 1e-9) + 1

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int | float) and self.low <= value <= self.high

    def value(self, index: int) -> float:
        """Return the value at ``index`` of the grid."""
        assert self.step is not None, "a range without a step has no indices"
        value = self.low + index * self.step
        return round(value) if self.integer else float(f"{value:.12g}")

    def at(self, u: float) -> float:
        """Return the value at the fraction ``u`` of the range, 0 <= u <= 1; in the logarithm with ``log``."""
        if self.log:
            top = math.log(self.high + 1 if self.integer else self.high)
            value = math.exp(math.log(self.low) + u * (top - math.log(self.low)))
            low, high = self.low, self.high
            return int(min(max(math.floor(value), low), high)) if self.integer else min(max(value, low), high)
        if self.size is not None:
            return self.value(min(int(u * self.size), self.size - 1))
        return min(self.low + u * (self.high - self.low), self.high)


Dimension = Values | Range
"""What is swept at one path, or at several together."""


@cache
def leaf_fields() -> dict[str, FieldInfo]:
    """Return every leaf field of the trial configuration by its dotted path."""
    return dict(_leaves(TrialConfig, ""))


def _leaves(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _leaves(inner, f"{prefix}{name}.")
        else:
            yield prefix + name, field


def parse(path: str, raw: object) -> tuple[Dimension | None, list[str]]:
    """Return the dimension that ``raw`` describes for ``path``, or None and its faults."""
    where = f"sweep.{path}"
    if fault := field_fault(path):
        return None, [fault]
    if isinstance(raw, Mapping):
        if "choices" not in raw:
            return _parse_range(path, raw)
        faults = [f"unknown key `{where}.{key}` beside `choices`" for key in raw if key != "choices"]
        if faults:
            return None, faults
        raw = raw["choices"]
    if not isinstance(raw, list | tuple):
        return None, [f"`{where}` must be a list, {{low, high}} or {{choices}}, but got {shown(raw)}"]
    return _parse_values(path, raw)


def field_fault(path: str) -> str | None:
    """Return why the field at ``path`` cannot be swept; None if it can."""
    where = f"`sweep.{path}`"
    if path not in leaf_fields():
        return f"unknown path {where}{nearest(path_of_column(path) or path, leaf_fields())}"
    if is_ladder_list(path):
        return f"{where} defines rungs, which need no trials of their own: list its values in `trial.{path}`"
    return None


def is_ladder_list(path: str) -> bool:
    """Whether ``path`` is a list of the ladder: its values are evaluated on one trained network, never swept."""
    section, _, name = path.rpartition(".")
    return section == "ladder" and name in LADDER_LISTS


def _parse_values(path: str, raw: Sequence[object]) -> tuple[Dimension | None, list[str]]:
    where = f"sweep.{path}"
    if not raw:
        return None, [f"`{where}` must name at least one value, but got {shown(list(raw))}"]
    values = [validated(path, value, f"{where}[{i}]") for i, value in enumerate(raw)]
    faults = [fault for _, found in values for fault in found]
    choices = tuple(value for value, _ in values)
    if not faults and len({as_text(value) for value in choices}) < len(choices):
        faults.append(f"`{where}` must not name a value twice, but got {shown(list(raw))}")
    return (None, faults) if faults else (Values(path, choices), [])


_RANGE_KEYS = ("low", "high", "log", "step", "int")

_SAME_AS: dict[object, str] = {
    **dict.fromkeys(("min", "start", "from", "lower"), "low"),
    **dict.fromkeys(("max", "stop", "end", "to", "upper"), "high"),
    **dict.fromkeys(("values", "list", "grid"), "choices"),
    **dict.fromkeys(("q", "by", "increment"), "step"),
}
"""What other tools call the keys of a range."""


def _parse_range(path: str, raw: Mapping[object, object]) -> tuple[Dimension | None, list[str]]:
    where = f"sweep.{path}"
    faults = [
        f"unknown key `{where}.{key}`{nearest(_SAME_AS.get(key, str(key)), [*_RANGE_KEYS, 'choices'])}"
        for key in raw
        if key not in _RANGE_KEYS
    ]
    kinds = number_kinds(leaf_fields()[path].annotation)
    if not kinds:
        return None, [*faults, f"`{where}` is not a number: sweep it with a list, but got {shown(dict(raw))}"]
    bounds: dict[str, float] = {}
    for name in ("low", "high"):
        if name not in raw:
            faults.append(f"`{where}.{name}` must be given, but it is missing")
            continue
        value, found = validated(path, raw[name], f"{where}.{name}")
        faults += found
        if isinstance(value, int | float):
            bounds[name] = value
    for name in ("log", "int"):
        if not isinstance(raw.get(name, False), bool):
            faults.append(f"`{where}.{name}` must be true or false, but got {raw[name]!r}")
    step, found = _parse_step(raw.get("step"), f"{where}.step")
    faults += found
    if faults or len(bounds) < 2:
        return None, faults or [f"`{where}` must have numbers as bounds, but got {shown(dict(raw))}"]
    integer = bool(raw.get("int", float not in kinds))
    log = bool(raw.get("log", False))
    faults = _range_faults(where, bounds["low"], bounds["high"], log=log, step=step, integer=integer)
    faults += _integer_faults(where, kinds, step, integer)
    if faults:
        return None, faults
    if integer and not log and step is None:
        step = 1
    return Range(path, bounds["low"], bounds["high"], log=log, step=step, integer=integer), []


def _parse_step(raw: object, where: str) -> tuple[float | None, list[str]]:
    if raw is None:
        return None, []
    try:
        step = TypeAdapter(float).validate_python(raw)
    except ValidationError:
        return None, [f"`{where}` must be a number, but got {shown(raw)}"]
    if not math.isfinite(step):
        return None, [f"`{where}` must be finite, but got {shown(raw)}"]
    return (step, []) if step > 0 else (None, [f"`{where}` must be greater than 0, but got {shown(raw)}"])


def _range_faults(
    where: str, low: float, high: float, *, log: bool, step: float | None, integer: bool
) -> list[str]:
    if not (math.isfinite(low) and math.isfinite(high)):
        return [f"`{where}` must have finite bounds, but got low={low}, high={high}"]
    faults = []
    if low >= high:
        faults.append(f"`{where}` must have low < high, but got low={low}, high={high}")
    if log and low <= 0:
        faults.append(f"`{where}` must have low > 0 with log: true, but got low={low}")
    if log and step is not None:
        faults.append(f"`{where}` must have either log or step, but got both")
    if integer and (low != int(low) or high != int(high)):
        faults.append(f"`{where}` must have whole numbers as bounds, but got low={low}, high={high}")
    return faults


def _integer_faults(where: str, kinds: set[type], step: float | None, integer: bool) -> list[str]:
    if integer and step is not None and step != int(step):
        return [f"`{where}` must have a whole number as step, but got step={step}"]
    if float not in kinds and not integer:
        return [f"`{where}` must be whole numbers, but got int: false"]
    return []


def validated(path: str, value: object, where: str) -> tuple[FieldValue, list[str]]:
    """Return ``value`` as converted by the field at ``path``, and its faults; ``where`` names it in them."""
    try:
        return leaf_adapter(path).validate_python(value), []
    except ValidationError as error:
        fault = error.errors()[0]
        if fault["type"] == "value_error":
            return None, [f"{where}: {fault['ctx']['error']}"]
        return None, [f"`{where}` {rule_of(fault)}, but got {shown(value)}"]


@cache
def leaf_adapter(path: str) -> TypeAdapter[FieldValue]:
    """Return the pydantic adapter of the leaf field at ``path``: its type with its constraints."""
    field = leaf_fields()[path]
    kind: Any = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
    return TypeAdapter(kind, config=ConfigDict(allow_inf_nan=False))


def number_kinds(annotation: object) -> set[type]:
    """Return which of int and float a field with this type annotation accepts."""
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        return number_kinds(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return {kind for part in typing.get_args(annotation) for kind in number_kinds(part)}
    return {kind for kind in (int, float) if annotation is kind}


def as_text(value: object) -> str:
    """Return a value as JSON text: equal values have equal texts."""
    return _AS_TEXT.encode(value)


_AS_TEXT = json.JSONEncoder(sort_keys=True)
