"""The page of the sweep file, field by field, made from the models that read it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypedDict, cast

from orchestrator.sweep.sweep import Sweep

Schema = TypedDict(
    "Schema",
    {
        "$ref": str,
        "$defs": dict[str, "Schema"],
        "type": str,
        "description": str,
        "properties": dict[str, "Schema"],
        "required": list[str],
        "default": object,
        "anyOf": list["Schema"],
        "enum": list[object],
        "const": object,
        "items": "Schema",
        "additionalProperties": "Schema | bool",
        "minimum": float,
        "exclusiveMinimum": float,
        "maximum": float,
        "exclusiveMaximum": float,
    },
    total=False,
)
"""The part of JSON schema that pydantic writes for a sweep."""

INTRODUCTION = """\
# Sweep file

A sweep file is plain YAML: `1e-6` and `010` are numbers, dates are text. Only `name` and `sweep` are required. An
unknown field is an error, and the message suggests the nearest name. `shrinksweep plan` reports all errors of a file
at once.

For editors, `shrinksweep schema -o sweep.schema.json` writes this page as a JSON schema. With the first line
`# yaml-language-server: $schema=sweep.schema.json`, they complete and check a file as you type.

`--set PATH=VALUE` overrides a field from the command line. In Python, the same sweep is
`Sweep(name="digits", sweep={"space.splitting": [1, 2, 4]}, ...)`.

## What can be swept

`sweep` maps dotted paths into `trial` to their values, in one of three forms:

| form | meaning |
|---|---|
| `[1, 2, 4]` | these values |
| `{choices: [1, 2, 4]}` | the same |
| `{low: 1e-6, high: 1e-3}` | all numbers from `low` to `high`, both included |

In a range, `log: true` spreads the values evenly on a logarithmic scale, `step: S` restricts them to a grid, and
`int: true` makes them integers.

Several fields can be swept jointly when only some combinations of their values are wanted. Write their paths separated
by commas, and a list with one value for each path:

```yaml
name: readings
trial: {space: {nodes: 4}}
sweep:
  space.output_node, space.splitting: [[concat, 1], [node_groups, 1], [node_groups, 2], [partial, 2]]
  feature_maps.regularization: [0.0, 1e-3]
strategy: {searcher: grid}
```

Every field of `trial` below can be swept, except the lists of `trial.ladder`: they make rungs, which are evaluated on
one trained network, not trials.
"""


def page() -> str:
    """Return the page: a table for the whole file, and one for every block."""
    schema = cast(Schema, Sweep.model_json_schema())
    parts = [INTRODUCTION, *_tables(schema, schema["$defs"], "")]
    return "\n".join(parts)


def _tables(schema: Schema, blocks: Mapping[str, Schema], path: str) -> list[str]:
    title = f"`{path}`" if path else "The whole file"
    lines = [f"## {title}\n", *_description(schema, path)]
    lines += ["| field | type | default | meaning |", "|---|---|---|---|"]
    inner = []
    for name, field in schema["properties"].items():
        whole = f"{path}.{name}" if path else name
        if block := _block(field, blocks):
            inner.append((whole, block))
            lines.append(f"| `{name}` | [see below](#{whole.replace('.', '')}) |  | {_meaning(block)} |")
        else:
            lines.append(
                f"| `{name}` | {_type(field)} | {_default(name, field, schema)} | {_meaning(field)} |"
            )
    found = ["\n".join(lines) + "\n"]
    for whole, block in inner:
        found += _tables(block, blocks, whole)
    return found


def _description(schema: Schema, path: str) -> list[str]:
    return [f"{_meaning(schema)}\n"] if path else []


def _block(field: Schema, blocks: Mapping[str, Schema]) -> Schema | None:
    reference = field.get("$ref")
    return blocks[reference.rpartition("/")[2]] if reference else None


def _meaning(field: Schema) -> str:
    return " ".join(field.get("description", "").replace("``", "`").split()).replace("|", "\\|")


def _default(name: str, field: Schema, schema: Schema) -> str:
    if name in schema.get("required", ()):
        return "required"
    return f"`{json.dumps(field['default'])}`" if "default" in field else ""


def _type(field: Schema) -> str:
    """Return the type of a field in words."""
    if "anyOf" in field:
        return " or ".join(_type(one) for one in field["anyOf"])
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    kind = field.get("type", "any")
    if kind == "array":
        return f"list of ({_type(field.get('items', {}))})"
    if kind == "object":
        values = field.get("additionalProperties")
        return f"mapping to {_type(values)}" if isinstance(values, Mapping) else "mapping"
    words = {"integer": "integer", "number": "number", "string": "text", "boolean": "true or false"}
    return " ".join([words.get(kind, kind), *_bounds(field)]).strip()


def _bounds(field: Schema) -> list[str]:
    bounds = {
        "≥": field.get("minimum"),
        ">": field.get("exclusiveMinimum"),
        "≤": field.get("maximum"),
        "<": field.get("exclusiveMaximum"),
    }
    return [f"{sign} {bound}" for sign, bound in bounds.items() if bound is not None]
