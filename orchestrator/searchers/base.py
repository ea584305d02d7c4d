"""The interface of searchers: a searcher yields candidates for a trial, and learns from finished trials."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Protocol

from orchestrator.sweep.dimensions import Assignment


class Searcher(Protocol):
    """Proposes assignments. A searcher that learns overrides ``tell``."""

    adaptive: ClassVar[bool] = False
    """Whether proposals depend on results, and so on the order in which trials finish."""

    def candidates(self, index: int) -> Iterator[Assignment]:
        """Yield candidates for the trial ``index``, best first, until there is nothing left to try."""
        ...

    def tell(
        self,
        index: int,
        assignment: Assignment,
        points: Sequence[Sequence[float]],
        violations: Sequence[Sequence[float]] = (),
    ) -> None:
        """Learn from a finished trial.

        Args:
            index: index of the trial.
            assignment: its values at the swept paths.
            points: the objectives of each rung of its ladder, in the order of the sweep, [rungs, objectives].
            violations: distance beyond each constraint, at most 0 where it is satisfied, [rungs, constraints].
        """
        return
