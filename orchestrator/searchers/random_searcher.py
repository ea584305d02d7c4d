"""Seeded random search over a scrambled Sobol sequence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from orchestrator.sweep.dimensions import Assignment, Dimension


class RandomSearcher:
    """Points of a scrambled Sobol sequence: random, but spread evenly. A pure function of sweep and seed."""

    adaptive = False

    def __init__(self, dimensions: Sequence[Dimension], seed: int) -> None:
        self._dimensions = dimensions
        self._sobol = qmc.Sobol(len(dimensions), scramble=True, rng=np.random.default_rng(seed))
        self._drawn: NDArray[np.float64] = np.empty((0, len(dimensions)))
        self._start = 0

    def candidates(self, index: int) -> Iterator[Assignment]:
        repeats = 0
        while repeats < _GIVE_UP_AFTER:
            repeats += 1
            yield self._next()

    def tell(self, *result: Any) -> None:
        pass

    def _next(self) -> Assignment:
        if self._start == len(self._drawn):  # in blocks whose sizes keep the sequence balanced
            self._drawn = np.vstack([self._drawn, self._sobol.random(max(256, len(self._drawn)))])
        point = self._drawn[self._start]
        self._start += 1
        return {d.path: d.at(float(u)) for d, u in zip(self._dimensions, point, strict=True)}


_GIVE_UP_AFTER = 100_000  # repeats in a row: what is left of a finite sweep is then not worth the wait
