"""What can go wrong inside a trial; every error is picklable, because it travels from a worker to the driver."""

from __future__ import annotations


class TrialError(RuntimeError):
    """A trial that cannot go on: a loss that is not finite, ranks that disagree, a feature map with NaN."""


class CheckpointError(ValueError):
    """A checkpoint of another trial, space or shape."""


class InfeasibleError(ValueError):
    """An architecture that breaks a constraint of the sweep before it is trained. No failure: it is not run again."""
