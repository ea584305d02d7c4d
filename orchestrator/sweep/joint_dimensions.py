"""Fields that are swept together: one dimension over several paths, such as ``space.output_node, space.splitting``.

Its values are lists with one value for each path, so that a sweep contains only the combinations that are worth a
trial: ``[[concat, 1], [node_groups, 1], [node_groups, 2]]``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from orchestrator.sweep.dimensions import Dimension, FieldValue, Values, as_text, field_fault, validated
from results.errors import shown
from results.schema import paths_of


def parse(path: str, raw: object) -> tuple[Dimension | None, list[str]]:
    """Return the dimension over all paths in ``path``, or None and its faults."""
    paths, where = paths_of(path), f"sweep.{path}"
    faults = [fault for one in paths if (fault := field_fault(one))]
    if len(set(paths)) < len(paths):
        faults.append(f"`{where}` must not name a path twice")
    if not isinstance(raw, list | tuple) or not raw:
        faults.append(
            f"`{where}` must be a list with a value for each of the {len(paths)} paths, but got {shown(raw)}"
        )
        return None, faults
    if faults:
        return None, faults
    choices: list[tuple[FieldValue, ...]] = []
    for index, row in enumerate(raw):
        if not isinstance(row, list | tuple) or len(row) != len(paths):
            faults.append(f"`{where}[{index}]` must be a list of {len(paths)} values, but got {shown(row)}")
            continue
        values = [validated(one, value, f"{where}[{index}]") for one, value in zip(paths, row, strict=True)]
        choices.append(tuple(value for value, _ in values))
        faults += [fault for _, found in values for fault in found]
    if not faults and len({as_text(choice) for choice in choices}) < len(choices):
        faults.append(f"`{where}` must not name a combination twice, but got {shown(list(raw))}")
    return (None, faults) if faults else (Values(path, tuple(choices)), [])


def split_joint(assignment: Mapping[str, FieldValue]) -> dict[str, FieldValue]:
    """Return one value for each single path.

    >>> split_joint({"space.output_node, space.splitting": ("partial", 2), "seed": 1})
    {'space.output_node': 'partial', 'space.splitting': 2, 'seed': 1}
    """
    found: dict[str, FieldValue] = {}
    for path, value in assignment.items():
        paths = paths_of(path)
        joint = len(paths) > 1
        found |= zip(paths, cast(Sequence[FieldValue], value), strict=True) if joint else {path: value}
    return found
