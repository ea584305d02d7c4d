"""Grid search: every combination, once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from typing_extensions import override

from orchestrator.searchers.base import Searcher
from orchestrator.sweep.dimensions import Assignment, Dimension


class GridSearcher(Searcher):
    """Proposes every combination in the order of the lists; the last dimension varies fastest."""

    def __init__(self, dimensions: Sequence[Dimension]) -> None:
        self._dimensions = dimensions
        self._next_index = 0  # combinations before it were yielded already

    @override
    def candidates(self, index: int) -> Iterator[Assignment]:
        total = math.prod(d.size or 0 for d in self._dimensions)
        for combination in range(self._next_index, total):
            self._next_index = combination + 1
            yield self._assignment(combination)

    def _assignment(self, combination: int) -> Assignment:
        """Return the combination of this index: its digits in the mixed radix of the dimensions' sizes."""
        chosen: Assignment = {}
        for dimension in reversed(self._dimensions):
            assert dimension.size is not None, "Sweep refuses a grid over a continuous range"
            combination, digit = divmod(combination, dimension.size)
            chosen[dimension.path] = dimension.value(digit)
        return {dimension.path: chosen[dimension.path] for dimension in self._dimensions}
