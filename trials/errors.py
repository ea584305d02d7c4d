"""Errors of a trial. They are picklable: a worker sends them to the driver."""

from __future__ import annotations

from shrinksweep import ShrinksweepError


class TrialError(ShrinksweepError, RuntimeError):
    """A trial that cannot continue: a loss that is not finite, ranks that disagree, a feature map with NaN."""


class CheckpointError(ShrinksweepError, ValueError):
    """A checkpoint that is damaged, or that belongs to another trial, space or shape."""


class InfeasibleError(ShrinksweepError, ValueError):
    """An architecture that breaks a constraint of the sweep before its training. Not a failure: no retry."""
