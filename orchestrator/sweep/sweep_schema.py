"""The JSON schema of sweep files: what an editor needs to complete and check them."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from orchestrator.sweep.dimensions import leaf_fields, leaf_type, number_kinds
from orchestrator.sweep.sweep import Sweep
from trials.config import LADDER_LISTS


def sweep_schema() -> dict[str, Any]:
    """Return the schema (JSON Schema 2020-12). Under ``sweep``, every path has the values of its field.

    It knows less than ``plan``: how fields fit together, and whether the data is there, only ``plan`` says.
    """
    schema = Sweep.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "shrinksweep sweep"
    swept = schema["properties"]["sweep"]
    swept["additionalProperties"] = False
    rows = {"type": "array", "items": {"type": "array", "minItems": 2}, "minItems": 1, "uniqueItems": True}
    swept["patternProperties"] = {",": {"description": "Fields that are swept together."} | rows}
    swept["properties"] = {path: _dimension(path) for path in leaf_fields() if not _makes_rungs(path)}
    return schema


def _makes_rungs(path: str) -> bool:
    section, _, name = path.rpartition(".")
    return section == "ladder" and name in LADDER_LISTS


def _dimension(path: str) -> dict[str, Any]:
    """Return the schema of what may be given for one swept path: a list, {choices}, or {low, high}."""
    field = leaf_fields()[path]
    value = TypeAdapter(leaf_type(path)).json_schema()
    values = {"type": "array", "items": value, "minItems": 1, "uniqueItems": True}
    forms: list[dict[str, Any]] = [values, _object({"choices": values}, ["choices"])]
    if number_kinds(field.annotation):
        switch = {"type": "boolean"}
        step = {"type": "number", "exclusiveMinimum": 0}
        bounds = {"low": value, "high": value, "log": switch, "step": step, "int": switch}
        forms.append(_object(bounds, ["low", "high"]))
    return {"description": field.description or "", "anyOf": forms}


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
