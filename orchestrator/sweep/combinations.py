"""The combinations of sizes that a sweep can propose, and whether a network of each can be built."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from orchestrator.sweep.dimensions import Assignment, Dimension, FieldValue, Range
from orchestrator.sweep.joint_dimensions import split_joint
from search_space.space import SPACES, stage_widths
from trials.config import TrialConfig

MAX_COMBINATIONS = 100_000
"""Combinations that are checked one by one; of more, only an evenly spaced subset."""

MAX_LINES = 5
"""Violated rules that are reported; the rest is only counted."""

WIDTHS = ("space.channels", "train.channels")


def apply_assignment(base: TrialConfig, assignment: Mapping[str, FieldValue]) -> TrialConfig:
    """Return ``base`` with the values of ``assignment`` at their dotted paths, validated as a whole."""
    content = base.model_dump()
    for path, value in split_joint(assignment).items():
        *sections, name = path.split(".")
        block = content
        for section in sections:
            block = block[section]
        block[name] = value
    return TrialConfig.model_validate(content)


def size_faults(base: TrialConfig, dims: Sequence[Dimension]) -> list[str]:
    """Check every combination of sizes that the sweep can propose; return one line for each violated rule."""
    sized = [d for d in dims if any(map(_is_size, d.paths))]
    if not sized:
        return []
    tried, violations = 0, dict[str, list[Assignment]]()
    for assignment in _size_combinations(base, sized):
        tried += 1
        try:
            apply_assignment(base, assignment)
        except ValidationError as error:
            for rule in dict.fromkeys(_rule(fault) for fault in error.errors(include_url=False)):
                violations.setdefault(rule, []).append(assignment)
    lines = [_line(rule, assignments, tried) for rule, assignments in violations.items()]
    more = len(lines) - MAX_LINES
    return lines[:MAX_LINES] + ([f"sweep: {more} more rules are violated by other sizes"] if more > 0 else [])


def _is_size(path: str) -> bool:
    return path.startswith("space.") or path in ("train.cells", "train.channels")


def _rule(fault: ErrorDetails) -> str:
    return str(fault.get("ctx", {}).get("error", fault["msg"]))


def _line(rule: str, assignments: Sequence[Assignment], tried: int) -> str:
    example = ", ".join(f"{path}={value}" for path, value in split_joint(assignments[0]).items())
    return f"sweep: {rule} (with {example}; {len(assignments)} of {tried} combinations of sizes)"


def _size_combinations(base: TrialConfig, sized: Sequence[Dimension]) -> Iterator[Assignment]:
    """Yield the combinations of values that can differ in whether they fit together."""
    choices = [_relevant_values(base, dimension, sized) for dimension in sized]
    stride = max(1, math.prod(map(len, choices)) // MAX_COMBINATIONS)
    for values in itertools.islice(itertools.product(*choices), None, None, stride):
        yield {dimension.path: value for dimension, value in zip(sized, values, strict=True)}


def _relevant_values(
    base: TrialConfig, dimension: Dimension, sized: Sequence[Dimension]
) -> Sequence[FieldValue]:
    if dimension.size is not None:
        return [dimension.value(i) for i in range(dimension.size)]
    assert isinstance(dimension, Range)
    if dimension.integer:
        return range(int(dimension.low), int(dimension.high) + 1)
    return _growth_values(base, dimension, sized)


def _growth_values(base: TrialConfig, growth: Range, sized: Sequence[Dimension]) -> list[float]:
    """Return width-growth factors that cover every way in which the widths of the cells can be rounded."""
    widths: set[int] = set()
    width_dims = [d for d in sized if set(WIDTHS) & set(d.paths)]
    for assignment in _size_combinations(base, width_dims) if width_dims else [{}]:
        swept = split_joint(assignment)
        channels = {width for path in WIDTHS if isinstance(width := swept.get(path), int) and width}
        channels |= {base.space.channels, base.train.channels or base.space.channels}
        for width in channels:
            widths |= set(
                stage_widths(
                    SPACES[base.space.name], cells=base.space.cells, channels=width, width_growth=1.0
                )
            )
    low, high = growth.low, growth.high
    edges = {(k + 0.5) / w for w in widths for k in range(int(low * w), int(high * w) + 1)}
    borders = [low, *sorted(edge for edge in edges if low < edge < high), high]
    return [low, high, *((a + b) / 2 for a, b in itertools.pairwise(borders))]
