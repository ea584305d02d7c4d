"""Fields that are younger than version 0.1, which records of older versions lack.

``stem: Annotated[Literal["cifar", "imagenet"], Added(before="cifar")] = "imagenet"``: older versions did ``cifar``. A
record of theirs goes on meaning that, and its trial keys stay, because the value ``before`` is not part of a key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TypeVar, cast

from trials.config.base import Config

C = TypeVar("C", bound=Config)


@dataclass(frozen=True)
class Added:
    """Annotation of a younger field."""

    before: object
    """What older versions did: a value of the field, in JSON form."""


def of_record(kind: type[C], content: Mapping[str, object]) -> C:
    """Return the configuration that a record holds, in the terms of the version that wrote it."""
    return kind.model_validate(with_younger_fields(kind, content))


def with_younger_fields(kind: type[Config], content: Mapping[str, object]) -> dict[str, object]:
    """Return the ``content`` of a record with the values ``before`` of the fields that it lacks."""
    full = dict(content)
    for name in kind.model_fields:
        block = _block(kind, name)
        if block is not None and isinstance(value := full.get(name), Mapping):
            full[name] = with_younger_fields(block, value)
        if (added := _added(kind, name)) is not None:
            full.setdefault(name, added.before)
    return full


def identity(config: Config) -> dict[str, object]:
    """Return the content of ``config`` in JSON form, without younger fields whose value is ``before``."""
    return _without_younger_fields(type(config), config.model_dump(mode="json"))


def continuing(config: Config, stored: Mapping[str, object]) -> dict[str, object]:
    """Return the content of ``config`` in JSON form, in the terms of the record ``stored``.

    A field that the record lacks, and that ``config`` does not set explicitly, has its value ``before``.
    """
    content = config.model_dump(mode="json")
    for name in type(config).model_fields:
        block, recorded = getattr(config, name), stored.get(name)
        if isinstance(block, Config) and isinstance(recorded, Mapping):
            content[name] = continuing(block, recorded)
        added = _added(type(config), name)
        if added is not None and name not in stored and name not in config.model_fields_set:
            content[name] = added.before
    return content


def _without_younger_fields(kind: type[Config], content: Mapping[str, object]) -> dict[str, object]:
    kept: dict[str, object] = {}
    for name, value in content.items():
        added, block = _added(kind, name), _block(kind, name)
        if added is not None and added.before == value:
            continue
        nested = cast(Mapping[str, object], value)
        kept[name] = value if block is None else _without_younger_fields(block, nested)
    return kept


@cache
def _added(kind: type[Config], name: str) -> Added | None:
    marks = [mark for mark in kind.model_fields[name].metadata if isinstance(mark, Added)]
    return marks[0] if marks else None


@cache
def _block(kind: type[Config], name: str) -> type[Config] | None:
    """Return the class of a field that is a block of its own."""
    annotation = kind.model_fields[name].annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, Config) else None
