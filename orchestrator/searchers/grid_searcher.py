"""Grid search: every combination, once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from orchestrator.sweep.dimensions import Assignment, Dimension


class GridSearcher:
    """Every combination, in the order of the lists: the last one moves fastest."""

    adaptive = False

    def __init__(self, dimensions: Sequence[Dimension]) -> None:
        self._dimensions = dimensions
        self._start = 0  # combinations before it were yielded, and taken or known

    def candidates(self, index: int) -> Iterator[Assignment]:
        total = math.prod(d.size or 0 for d in self._dimensions)
        for place in range(self._start, total):
            self._start = place + 1
            yield self._combination(place)

    def tell(self, *result: Any) -> None:
        pass

    def _combination(self, place: int) -> Assignment:
        chosen: Assignment = {}
        for dimension in reversed(self._dimensions):
            assert dimension.size is not None, "the sweep file was checked"
            place, digit = divmod(place, dimension.size)
            chosen[dimension.path] = dimension.value(digit)
        return {dimension.path: chosen[dimension.path] for dimension in self._dimensions}
