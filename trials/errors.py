"""What can go wrong inside a trial; every error is picklable, because it travels from a worker to the driver."""

from __future__ import annotations

from shrinksweep import ShrinksweepError


class TrialError(ShrinksweepError, RuntimeError):
    """A trial that cannot go on: a loss that is not finite, ranks that disagree, a feature map with NaN."""


class CheckpointError(ShrinksweepError, ValueError):
    """A checkpoint of another trial, space or shape."""


class InfeasibleError(ShrinksweepError, ValueError):
    """An architecture that breaks a constraint of the sweep before it is trained. No failure: it is not run again."""
