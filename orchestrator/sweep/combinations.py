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

MAX_COMBINATIONS = 10_000
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
    return path.startswith("space.") or path in _SIZES


_SIZES = ("train.cells", "train.channels", "search.algorithm", "search.genotype", "search.partial_channels")


def _rule(fault: ErrorDetails) -> str:
    return str(fault.get("ctx", {}).get("error", fault["msg"]))


def _line(rule: str, assignments: Sequence[Assignment], tried: int) -> str:
    example = ", ".join(f"{path}={value}" for path, value in split_joint(assignments[0]).items())
    return f"sweep: {rule} (with {example}; {len(assignments)} of {tried} combinations of sizes)"


def _size_combinations(base: TrialConfig, sized: Sequence[Dimension]) -> Iterator[Assignment]:
    """Yield the combinations of values that can differ in whether they fit together."""
    choices = [_relevant_values(base, dimension, sized) for dimension in sized]
    total = math.prod(len(values) for values in choices)
    count = min(total, MAX_COMBINATIONS)
    for number in range(count):  # evenly spaced, with the first and the last
        index = number if count == total else number * (total - 1) // (count - 1)
        assignment: Assignment = {}
        for dimension, values in zip(reversed(sized), reversed(choices), strict=True):
            index, position = divmod(index, len(values))
            assignment[dimension.path] = values[position]
        yield {dimension.path: assignment[dimension.path] for dimension in sized}


def _relevant_values(
    base: TrialConfig, dimension: Dimension, sized: Sequence[Dimension]
) -> Sequence[FieldValue]:
    """Return the values of a dimension, or evenly spaced ones of very many."""
    if isinstance(dimension, Range) and dimension.size is None:
        if not dimension.integer:
            return _growth_values(base, dimension, sized)
        low, high = int(dimension.low), int(dimension.high)
        return range(low, high + 1, max(1, (high - low) // MAX_COMBINATIONS))
    assert dimension.size is not None
    stride = max(1, dimension.size // MAX_COMBINATIONS)
    return [dimension.value(i) for i in range(0, dimension.size, stride)]


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
    if sum(int(high * w) - int(low * w) for w in widths) > MAX_COMBINATIONS:
        return [growth.at(i / MAX_COMBINATIONS) for i in range(MAX_COMBINATIONS + 1)]
    edges = {(k + 0.5) / w for w in widths for k in range(int(low * w), int(high * w) + 1)}
    borders = [low, *sorted(edge for edge in edges if low < edge < high), high]
    return [low, high, *((a + b) / 2 for a, b in itertools.pairwise(borders))]
