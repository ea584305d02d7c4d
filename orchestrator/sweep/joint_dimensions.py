"""Fields that are swept together: one dimension over several paths, such as ``space.output_node, space.splitting``.

Its values are lists with one value for each path, so that a sweep holds the combinations that are worth it and no
others: ``[[concat, 1], [node_groups, 1], [node_groups, 2]]``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.sweep.dimensions import Dimension, Values, as_text, checked, field_fault
from results.schema import paths_of


def parse(path: str, raw: Any) -> tuple[Dimension | None, list[str]]:
    """Return the dimension over all paths of ``path``, or None and what is wrong with it."""
    paths, where = paths_of(path), f"`sweep.{path}`"
    faults = [fault for one in paths if (fault := field_fault(one))]
    if len(set(paths)) < len(paths):
        faults.append(f"{where} must not name a path twice")
    if not isinstance(raw, list | tuple) or not raw:
        faults.append(
            f"{where} must be a list with a value for each of the {len(paths)} paths, but got {raw!r}"
        )
    if faults:
        return None, faults
    choices: list[tuple[Any, ...]] = []
    for place, row in enumerate(raw):
        if not isinstance(row, list | tuple) or len(row) != len(paths):
            faults.append(f"`sweep.{path}[{place}]` must be a list of {len(paths)} values, but got {row!r}")
            continue
        found = [
            checked(one, value, f"`sweep.{path}[{place}]`") for one, value in zip(paths, row, strict=True)
        ]
        choices.append(tuple(value for value, _ in found))
        faults += [fault for _, lines in found for fault in lines]
    if not faults and len({as_text(choice) for choice in choices}) < len(choices):
        faults.append(f"{where} must not name a combination twice, but got {list(raw)}")
    return (None, faults) if faults else (Values(path, tuple(choices)), [])


def spread(assignment: Mapping[str, Any]) -> dict[str, Any]:
    """Return a value for every single path.

    >>> spread({"space.output_node, space.splitting": ("partial", 2), "seed": 1})
    {'space.output_node': 'partial', 'space.splitting': 2, 'seed': 1}
    """
    found: dict[str, Any] = {}
    for path, value in assignment.items():
        paths = paths_of(path)
        found |= {path: value} if len(paths) == 1 else dict(zip(paths, value, strict=True))
    return found
