"""The interface of a sink, and what a sink is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from results.states import TrialState

TagStep = tuple[str, int]
"""Tag and step, which identify a scalar of a trial."""


class Scalar(NamedTuple):
    """One number of a trial. ``at`` is its time in seconds since 1970."""

    tag: str
    step: int
    value: float
    at: float

    @property
    def tag_step(self) -> TagStep:
        """Tag and step."""
        return self.tag, self.step


@dataclass(frozen=True)
class Trial:
    """A trial as a sink sees it."""

    index: int
    key: str
    sweep: str
    """Name of the sweep."""
    run: str
    """Path or URI of the run directory."""
    parameters: Mapping[str, object] = field(default_factory=dict)
    """Every field of the configuration, by its dotted path."""


class Sink(Protocol):
    """A copy of a run for another tool. Each method may raise the errors of that tool."""

    def begin(self, trial: Trial) -> set[TagStep]:
        """Create the trial if the sink does not have it; return the scalars that the sink has of it."""

    def write(self, trial: Trial, scalars: Sequence[Scalar]) -> None:
        """Add scalars that the sink does not have. ``begin`` was called before."""

    def finish(self, trial: Trial, state: TrialState, reason: str | None) -> None:
        """Set the final state of the trial, one of ``results.states.SETTLED``. May be called again."""

    def close(self) -> None:
        """Release open files and connections."""
