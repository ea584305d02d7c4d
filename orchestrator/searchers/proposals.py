"""The next proposal of a sweep: the first candidate of its searcher that was never proposed before."""

from __future__ import annotations

from collections.abc import Collection

from orchestrator.searchers.base import Searcher
from orchestrator.searchers.grid_searcher import GridSearcher
from orchestrator.searchers.random_searcher import RandomSearcher
from orchestrator.sweep.dimensions import Assignment, as_text
from orchestrator.sweep.sweep import Sweep


class Proposals:
    """The proposals of a searcher, without repetitions.

    Args:
        searcher: yields the candidates.
        combinations: number of different assignments; None: unlimited.
        known: assignments that were proposed before, as JSON text.
    """

    def __init__(self, searcher: Searcher, combinations: int | None, known: Collection[str] = ()) -> None:
        self.searcher = searcher
        self._combinations = combinations
        self._known = set(known)

    def next(self, index: int) -> Assignment | None:
        """Return the assignment of the trial ``index``; None when there is nothing new to try."""
        if self._combinations is not None and len(self._known) >= self._combinations:
            return None
        for candidate in self.searcher.candidates(index):
            text = as_text(candidate)
            if text not in self._known:
                self._known.add(text)
                return candidate
        return None


def make_searcher(sweep: Sweep) -> Searcher:
    """Return a new searcher as configured by ``sweep.strategy``."""
    if sweep.strategy.searcher == "grid":
        return GridSearcher(sweep.dimensions)
    if sweep.strategy.searcher == "random":
        return RandomSearcher(sweep.dimensions, sweep.seed)
    from orchestrator.searchers.optuna_searcher import OptunaSearcher  # importing Optuna takes half a second

    return OptunaSearcher(
        sweep.dimensions,
        directions=list(sweep.objectives.values()),
        kind=sweep.strategy.searcher,
        population=sweep.strategy.population,
        rungs=len(sweep.trial.ladder.rungs()),
        seed=sweep.seed,
    )
