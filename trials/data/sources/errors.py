"""What can be wrong with the images of a trial."""

from __future__ import annotations

from shrinksweep import ShrinksweepError


class DataError(ShrinksweepError, ValueError):
    """Images that are missing, or are not what their source says. One line: the rule and what was found."""
