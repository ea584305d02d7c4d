"""Which combinations of sizes a sweep can propose, and whether each of them can be built."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import ValidationError

from orchestrator.sweep.dimensions import Assignment, Dimension, Range
from orchestrator.sweep.joint_dimensions import spread
from search_space.space import SPACES, stage_widths
from trials.config import TrialConfig

MOST_COMBINATIONS = 100_000
"""Combinations that are checked one by one; of more, an even selection of so many."""

WIDTHS = ("space.channels", "train.channels")

MOST_LINES = 5
"""Rules that are reported; of more, the number of the others."""


def configured(base: TrialConfig, assignment: Assignment) -> TrialConfig:
    """Return ``base`` with other values at some dotted paths, checked again as a whole."""
    content = base.model_dump()
    for path, value in spread(assignment).items():
        *sections, name = path.split(".")
        place = content
        for section in sections:
            place = place[section]
        place[name] = value
    return TrialConfig.model_validate(content)


def faults(base: TrialConfig, dims: Sequence[Dimension]) -> list[str]:
    """Check every combination of sizes that the sweep can propose; equal faults are one line."""
    sized = [d for d in dims if any(map(_is_size, d.paths))]
    if not sized:
        return []
    tried, broken = 0, dict[str, list[Assignment]]()
    for assignment in size_combinations(base, sized):
        tried += 1
        try:
            configured(base, assignment)
        except ValidationError as error:
            for rule in dict.fromkeys(_rule(fault) for fault in error.errors(include_url=False)):
                broken.setdefault(rule, []).append(assignment)
    lines = [_line(rule, bad, tried) for rule, bad in broken.items()]
    more = len(lines) - MOST_LINES
    return lines[:MOST_LINES] + (
        [f"sweep: and {more} more such rules are broken by other sizes"] if more > 0 else []
    )


def _is_size(path: str) -> bool:
    return path.startswith("space.") or path in ("train.cells", "train.channels")


def _rule(fault: Any) -> str:
    return str(fault.get("ctx", {}).get("error", fault["msg"]))


def _line(rule: str, bad: list[Assignment], tried: int) -> str:
    example = ", ".join(f"{path}={value}" for path, value in spread(bad[0]).items())
    return f"sweep: {rule} (with {example}; {len(bad)} of {tried} combinations of sizes)"


def size_combinations(base: TrialConfig, sized: Sequence[Dimension]) -> Iterator[Assignment]:
    """Yield every combination of the values that can make a difference to what fits."""
    choices = [_telling_values(base, dimension, sized) for dimension in sized]
    stride = max(1, math.prod(map(len, choices)) // MOST_COMBINATIONS)
    for values in itertools.islice(itertools.product(*choices), None, None, stride):
        yield {dimension.path: value for dimension, value in zip(sized, values, strict=True)}


def _telling_values(base: TrialConfig, dimension: Dimension, sized: Sequence[Dimension]) -> Sequence[Any]:
    if dimension.size is not None:
        return [dimension.value(i) for i in range(dimension.size)]
    assert isinstance(dimension, Range)
    if dimension.integer:
        return range(int(dimension.low), int(dimension.high) + 1)
    return _between_roundings(base, dimension, sized)


def _between_roundings(base: TrialConfig, growth: Range, sized: Sequence[Dimension]) -> list[float]:
    """Return a width factor for every way in which the widths of the cells can round."""
    widths = set()
    sizes = [d for d in sized if set(WIDTHS) & set(d.paths)]
    for assignment in size_combinations(base, sizes) if sizes else [{}]:
        swept = spread(assignment)
        channels = {swept[path] for path in WIDTHS if swept.get(path)} | {
            base.space.channels,
            base.train.channels or base.space.channels,
        }
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
