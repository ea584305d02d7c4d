"""Seeded random search over a scrambled Sobol sequence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from orchestrator.searchers.base import Searcher
from orchestrator.sweep.dimensions import Assignment, Dimension

MAX_CANDIDATES = 100_000
"""Candidates for one trial. If all of them are known, what is left of a finite sweep is not worth the wait."""


class RandomSearcher(Searcher):
    """Proposes the points of a scrambled Sobol sequence: random, but evenly spread. Depends on sweep and seed only."""

    def __init__(self, dimensions: Sequence[Dimension], seed: int) -> None:
        from scipy.stats import qmc  # it takes a second to load

        self._dimensions = dimensions
        self._sobol = qmc.Sobol(len(dimensions), scramble=True, rng=np.random.default_rng(seed))
        self._points: NDArray[np.float64] = np.empty((0, len(dimensions)))  # drawn so far, [n, dimensions]
        self._next_row = 0

    @override
    def candidates(self, index: int) -> Iterator[Assignment]:
        for _ in range(MAX_CANDIDATES):
            yield self._next()

    def _next(self) -> Assignment:
        if self._next_row == len(self._points):  # drawn in powers of two, which keep the sequence balanced
            self._points = np.vstack([self._points, self._sobol.random(max(256, len(self._points)))])
        point = self._points[self._next_row]
        self._next_row += 1
        return {d.path: d.at(float(u)) for d, u in zip(self._dimensions, point, strict=True)}
