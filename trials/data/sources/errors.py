"""The error of all image sources."""

from __future__ import annotations

from shrinksweep import ShrinksweepError


class DataError(ShrinksweepError, ValueError):
    """Images that are missing or invalid. The message is one line: the rule and what was found."""
