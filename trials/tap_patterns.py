"""Which taps the patterns of ``feature_maps.taps`` stand for, and whether they stand for any at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

import torch

from search_space import Genotype, Network, Supernet
from search_space.feature_map import FeatureMap, taps
from search_space.genotype import CellGenotype
from search_space.space import SPACES
from trials.config import TrialConfig


class TapError(ValueError):
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


def check_taps(config: TrialConfig) -> None:
    """Check that the patterns of a trial stand for taps that networks of its space have.

    Raises:
        TapError: a pattern matches nothing (the nearest tap is shown), or nothing but what ``l1`` leaves out.
    """
    maps, places = config.feature_maps, possible_taps(config)
    for pattern in maps.taps:
        if not any(fnmatchcase(name, pattern) for name in places):
            near = get_close_matches(pattern, places, n=1, cutoff=0.0)
            hint = f"; the nearest tap is {near[0]!r}" if near else ""
            raise TapError(f"`feature_maps.taps` must match a feature map, but got {pattern!r}{hint}")
    if not matching_taps(places, maps.taps, maps.measure):
        raise TapError(
            f"`{maps.measure}` needs a tap besides attention probabilities, but got {', '.join(maps.taps)}"
        )


def possible_taps(config: TrialConfig) -> dict[str, FeatureMap]:
    """Return the taps that a trial's networks can have: any discrete one, and the supernet if the term is there."""
    space, sizes = SPACES[config.space.name], config.network_sizes()
    nodes = sizes.pop("nodes")
    found: dict[str, FeatureMap] = {}
    with torch.device("meta"):
        for name in space.primitives:
            if name != "none":
                cell = CellGenotype(((name, 0), (name, 1)) * nodes, tuple(range(2, 2 + nodes)))
                found |= taps(Network(Genotype(cell, cell), classes=1, space=space.name, **sizes))
        if config.feature_maps.in_search or config.search.regularize_alphas:
            found |= taps(Supernet(space.name, classes=1, **config.space.sizes()))
    return found
