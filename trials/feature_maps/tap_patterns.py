"""Which taps the patterns of ``feature_maps.taps`` match."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from search_space.feature_map import FeatureMap
from shrinksweep import ShrinksweepError


class TapError(ShrinksweepError, ValueError):
    """A pattern that stands for no tap."""


def matching_taps(places: Mapping[str, FeatureMap], patterns: Sequence[str], measure: str) -> list[str]:
    """Return the taps that take part in the lambda term, in their own order.

    Patterns are shell-style. ``*`` alone stands for every map that a multiplication reads; maps that wait in a cell for
    their readers take part where a pattern of their own matches them, such as ``*.state?``. Attention probabilities
    take no part in ``l1``: each row sums to one, so their mean is a constant without gradient, and nobody has to keep
    the fused attention from being used.
    """

    def takes_part(name: str, tap: FeatureMap) -> bool:
        if tap.normalized and measure == "l1":
            return False
        return any(fnmatchcase(name, p) and not (p == "*" and tap.waiting) for p in patterns)

    return [name for name, tap in places.items() if takes_part(name, tap)]
