"""The interface that every searcher has. A searcher yields *candidates* for a trial, and is told what came of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from orchestrator.sweep.dimensions import Assignment

Values = Sequence[float]
"""The objectives of one point, in the order of the sweep."""


class Searcher(Protocol):
    """Proposes assignments and is told what came of them."""

    adaptive: bool
    """Whether proposals depend on results, and so on the order in which trials finish."""

    def candidates(self, index: int) -> Iterator[Assignment]:
        """Yield candidates for the trial ``index``, best first. It ends when there is nothing left to try."""

    def tell(
        self,
        index: int,
        assignment: Assignment,
        points: Sequence[Values],
        violations: Sequence[Values] = (),
    ) -> None:
        """Take note of a finished trial: the objectives of every rung of its ladder.

        ``violations``: of the same rungs, how far each is beyond each constraint (0 or less: within).
        """


def finite(points: Sequence[Sequence[Any]], count: int | None = None) -> list[list[Any]]:
    """Return the points whose first ``count`` values (None: all), the objectives, are finite numbers."""
    return [list(point) for point in points if all(v is not None and np.isfinite(v) for v in point[:count])]
