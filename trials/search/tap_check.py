"""A check before a trial starts: do the patterns of ``feature_maps.taps`` match taps of its networks?"""

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
    """Check that every pattern of a trial matches a tap of the networks in its search space.

    Raises:
        TapError: a pattern matches no tap (the message has the nearest one), or all patterns together match only taps
            that the measure leaves out.
    """
    maps, known = config.feature_maps, possible_taps(config)
    known = {name: tap for name, tap in known.items() if maps.linear_inputs or not tap.linear}
    for pattern in maps.taps:
        if not any(fnmatchcase(name, pattern) for name in known):
            nearest = get_close_matches(pattern, known, n=1, cutoff=0.0)
            hint = f"; the nearest tap is {nearest[0]!r}" if nearest else ""
            raise TapError(f"`feature_maps.taps` must match a feature map, but got {pattern!r}{hint}")
    matching = matching_taps(known, maps.taps, maps.measure)
    if matching and maps.weighting == "macs" and all(known[name].waiting for name in matching):
        raise TapError(
            f"`feature_maps.weighting` macs needs a map that a multiplication reads, but got {', '.join(maps.taps)}"
        )
    if not matching:
        raise TapError(
            f"`{maps.measure}` needs a tap besides attention probabilities, but got {', '.join(maps.taps)}"
        )


def possible_taps(config: TrialConfig) -> dict[str, FeatureMap]:
    """Return all taps that the networks of a trial can have, by name.

    These are the discrete networks of its search space, and the supernet if the search is regularized. Of a trial
    with a written genotype, it is that network.
    """
    space, sizes, nodes = SPACES[config.space.name], config.network_sizes(), config.space.nodes
    found: dict[str, FeatureMap] = {}
    with torch.device("meta"):
        if given := config.search.given():
            return taps(Network(given, classes=1, space=space.name, **sizes))
        for name in space.primitives:
            if name != "none":
                cell = CellGenotype(((name, 0), (name, 1)) * nodes, tuple(range(2, 2 + nodes)))
                found |= taps(Network(Genotype(cell, cell), classes=1, space=space.name, **sizes))
        regularized = config.feature_maps.in_search or config.search.regularize_alphas
        if regularized and config.search.algorithm != "none":
            found |= taps(Supernet(space.name, classes=1, **config.space.sizes()))
    return found
