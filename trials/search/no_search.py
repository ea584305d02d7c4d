"""The architecture of a trial that does not search (``search.algorithm: none``): published, one's own, or random.

Such trials are the baselines of a search: they are trained and evaluated as its results are, and stand on the same
front.
"""

from __future__ import annotations

from search_space.genotype import Genotype, derive_cell
from search_space.space import SPACES
from trials.config import TrialConfig
from trials.data.seeds import RandomStream, generator


def given_genotype(config: TrialConfig) -> Genotype | None:
    """Return the architecture of a trial that does not search; None if it is searched.

    A random one depends on the seed of the trial, on the space and its nodes. Each node takes two different sources,
    and each of its edges a primitive other than ``none``, with equal probabilities.
    """
    if config.search.algorithm != "none":
        return None
    return config.search.given() or _random_genotype(config)


def _random_genotype(config: TrialConfig) -> Genotype:
    space, nodes = SPACES[config.space.name], config.space.nodes
    random = generator(config.seed, RandomStream.ARCHITECTURE)
    cells = {
        kind: derive_cell(
            random.random((nodes * (nodes + 3) // 2, len(space.primitives))).tolist(), space.primitives, nodes
        )
        for kind in space.cell_kinds()
    }
    return Genotype(normal=cells["normal"], reduce=cells.get("reduce"))
