"""Matching of taps against the patterns of ``feature_maps.taps``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from search_space.feature_map import FeatureMap
from shrinksweep import ShrinksweepError


class TapError(ShrinksweepError, ValueError):
    """A tap pattern that matches no tap."""


def matching_taps(
    taps: Mapping[str, FeatureMap], patterns: Sequence[str], measure: str, *, linear_inputs: bool = True
) -> list[str]:
    """Return the names of the taps that take part in the lambda term, in the order of ``taps``.

    Patterns are shell-style. The pattern ``*`` matches every map that is the input of a multiplication; ``waiting``
    maps need a more specific pattern, such as ``*.state?``. Attention probabilities never take part in ``l1``: each row
    sums to one, so their mean is a constant without gradient, and training can use the fused attention. Without
    ``linear_inputs``, no pattern matches the inputs of linear layers.
    """

    def takes_part(name: str, tap: FeatureMap) -> bool:
        if (tap.normalized and measure == "l1") or (tap.linear and not linear_inputs):
            return False
        return any(fnmatchcase(name, p) and not (p == "*" and tap.waiting) for p in patterns)

    return [name for name, tap in taps.items() if takes_part(name, tap)]
