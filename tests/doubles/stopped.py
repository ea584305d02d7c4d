"""A trial that is stopped from outside."""

from __future__ import annotations


class StoppedError(Exception):
    """What a test's ``report`` raises to stop a trial, as the scheduler does."""
