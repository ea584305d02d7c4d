"""The sweep file, field by field, from the models that read it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from orchestrator.sweep.sweep import Sweep

INTRODUCTION = """\
# Sweep file

A sweep file is YAML (1.1, read with a safe loader). Everything but `name` and `sweep` has a default. An unknown field
is refused with the nearest name; `shrinksweep plan` names every fault of a file at once. `shrinksweep schema -o
sweep.schema.json` writes the same as a JSON schema: with `# yaml-language-server: $schema=sweep.schema.json` as first
line, editors complete and check a file as you type. `--set PATH=VALUE` gives a field another value from the command
line. The same in Python: `Sweep(name="digits", sweep={"space.splitting": [1, 2, 4]}, ...)`.

## What can be swept

`sweep` maps dotted paths into `trial` to their values, each in one of three forms:

| form | meaning |
|---|---|
| `[1, 2, 4]` | these values |
| `{choices: [1, 2, 4]}` | the same |
| `{low: 1e-6, high: 1e-3}` | all numbers from `low` to `high`, both included |

In a range, `log: true` spreads the values evenly in the logarithm, `step: S` puts them on a grid, and `int: true` makes
them whole numbers.

Fields of which not every combination is worth a trial are swept together: their paths, separated by commas, and a list
with one value for each path.

```yaml
name: readings
trial: {space: {nodes: 4}}
sweep:
  space.output_node, space.splitting: [[concat, 1], [node_groups, 1], [node_groups, 2], [partial, 2]]
  feature_maps.regularization: [0.0, 1e-3]
strategy: {searcher: grid}
```

Every field of `trial` below can be swept but the lists of `trial.ladder`: they make rungs, evaluated on one trained
network, not trials.
"""


def page() -> str:
    """Return the page: a table for the sweep, and one for every part of it."""
    schema = Sweep.model_json_schema()
    parts = [INTRODUCTION, *_tables(schema, schema["$defs"], "")]
    return "\n".join(parts)


def _tables(schema: Mapping[str, Any], parts: Mapping[str, Any], path: str) -> list[str]:
    title = f"`{path}`" if path else "The whole file"
    lines = [f"## {title}\n", *_description(schema, path)]
    lines += ["| field | type | default | meaning |", "|---|---|---|---|"]
    inner = []
    for name, field in schema["properties"].items():
        whole = f"{path}.{name}" if path else name
        if part := _part(field, parts):
            inner.append((whole, part))
            lines.append(f"| `{name}` | [see below](#{whole.replace('.', '')}) |  | {_meaning(part)} |")
        else:
            lines.append(
                f"| `{name}` | {_type(field)} | {_default(name, field, schema)} | {_meaning(field)} |"
            )
    found = ["\n".join(lines) + "\n"]
    for whole, part in inner:
        found += _tables(part, parts, whole)
    return found


def _description(schema: Mapping[str, Any], path: str) -> list[str]:
    return [f"{_meaning(schema)}\n"] if path else []


def _part(field: Mapping[str, Any], parts: Mapping[str, Any]) -> Mapping[str, Any] | None:
    reference = field.get("$ref")
    return parts[reference.rpartition("/")[2]] if reference else None


def _meaning(field: Mapping[str, Any]) -> str:
    return " ".join(field.get("description", "").replace("``", "`").split()).replace("|", "\\|")


def _default(name: str, field: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    if name in schema.get("required", ()):
        return "required"
    return f"`{json.dumps(field['default'])}`" if "default" in field else ""


def _type(field: Mapping[str, Any]) -> str:
    """Return in words what a field may be."""
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
    words = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false"}
    return " ".join([words.get(kind, kind), *_bounds(field)]).strip()


BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def _bounds(field: Mapping[str, Any]) -> list[str]:
    return [f"{sign} {field[name]}" for name, sign in BOUNDS.items() if name in field]
