"""The JSON schema of sweep files: editors complete and check them with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from orchestrator.sweep.dimensions import is_ladder_list, leaf_adapter, leaf_fields, number_kinds
from orchestrator.sweep.sweep import Sweep

Schema = dict[str, object]
"""A JSON schema, or a part of one."""


def sweep_schema() -> Schema:
    """Return the schema (JSON Schema 2020-12). Below ``sweep`` every path accepts the values of its field.

    The schema is weaker than ``plan``, which also checks how fields fit together and that the data exists.
    """
    schema: Schema = Sweep.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "shrinksweep sweep"
    swept = cast(dict[str, Schema], schema["properties"])["sweep"]
    swept["additionalProperties"] = False
    rows = {"type": "array", "items": {"type": "array", "minItems": 2}, "minItems": 1, "uniqueItems": True}
    swept["patternProperties"] = {",": {"description": "Fields that are swept together."} | rows}
    swept["properties"] = {path: _dimension(path) for path in leaf_fields() if not is_ladder_list(path)}
    return schema


def _dimension(path: str) -> Schema:
    """Return the schema of one dimension: a list, {choices}, or {low, high} for numbers."""
    field = leaf_fields()[path]
    value = leaf_adapter(path).json_schema()
    values: Schema = {"type": "array", "items": value, "minItems": 1, "uniqueItems": True}
    forms: list[Schema] = [values, _object({"choices": values}, ["choices"])]
    if number_kinds(field.annotation):
        flag = {"type": "boolean"}
        step = {"type": "number", "exclusiveMinimum": 0}
        bounds: Schema = {"low": value, "high": value, "log": flag, "step": step, "int": flag}
        forms.append(_object(bounds, ["low", "high"]))
    return {"description": field.description or "", "anyOf": forms}


def _object(properties: Schema, required: Sequence[str]) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }
