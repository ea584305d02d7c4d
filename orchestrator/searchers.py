"""What to try next: grid and seeded random search, and the interface that every searcher has.

A searcher yields *candidates* for a trial; whoever drives it takes the first that was never proposed, so
that no trial is launched twice. Grid and random search depend on the sweep alone; ``optuna_searchers`` learns
from what it is told.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from orchestrator.dimensions import Assignment, Dimension, as_text
from orchestrator.sweep import Sweep

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


class Proposals:
    """A searcher together with what was ever proposed: hands out only what is new."""

    def __init__(self, searcher: Searcher, combinations: int | None, known: Collection[str] = ()) -> None:
        self.searcher = searcher
        self._combinations = combinations
        self._known = set(known)

    def next(self, index: int) -> Assignment | None:
        """Return what the trial ``index`` should be; None when there is nothing new to try."""
        if self._combinations is not None and len(self._known) >= self._combinations:
            return None
        for candidate in self.searcher.candidates(index):
            text = as_text(candidate)
            if text not in self._known:
                self._known.add(text)
                return candidate
        return None


def make_searcher(sweep: Sweep) -> Searcher:
    """Return the searcher that a sweep asks for, fresh."""
    if sweep.strategy.searcher == "grid":
        return GridSearcher(sweep.dimensions)
    if sweep.strategy.searcher == "random":
        return RandomSearcher(sweep.dimensions, sweep.seed)
    from orchestrator.optuna_searchers import OptunaSearcher  # it takes half a second to load

    return OptunaSearcher(
        sweep.dimensions,
        directions=list(sweep.objectives.values()),
        kind=sweep.strategy.searcher,
        population=sweep.strategy.population,
        rungs=len(sweep.trial.ladder.rungs()),
        seed=sweep.seed,
    )


def finite(points: Sequence[Sequence[Any]], count: int | None = None) -> list[list[Any]]:
    """Return the points whose first ``count`` values (None: all), the objectives, are finite numbers."""
    return [list(point) for point in points if all(v is not None and np.isfinite(v) for v in point[:count])]
