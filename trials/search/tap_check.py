"""A check before a trial starts: the patterns of ``feature_maps.taps`` match taps of the networks it can build."""

from __future__ import annotations

from difflib import get_close_matches
from fnmatch import fnmatchcase

import torch

from search_space import Genotype, Network, Supernet
from search_space.feature_map import FeatureMap, taps
from search_space.genotype import CellGenotype
from search_space.space import SPACES
from trials.config import TrialConfig
from trials.feature_maps.tap_patterns import TapError, matching_taps


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
