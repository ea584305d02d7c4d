"""The errors that a sweep or a launch raises for its user."""

from __future__ import annotations

from collections.abc import Iterable

from shrinksweep import ShrinksweepError


class OrchestratorError(ShrinksweepError, ValueError):
    """Base class of the errors of this package."""


class SweepError(OrchestratorError):
    """A sweep that cannot be launched. ``lines`` holds one line per fault: the rule and the value received."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = list(lines)
        super().__init__("\n".join(self.lines))

    def __reduce__(self) -> tuple[type[SweepError], tuple[list[str]]]:
        return type(self), (self.lines,)


class LaunchError(OrchestratorError):
    """A launch that cannot start or continue: the cluster is unreachable or the storage keeps failing, for example."""
