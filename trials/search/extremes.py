"""The networks with the fewest and with the most multiply-adds that a search could derive."""

from __future__ import annotations

import torch
from torch import Tensor

from search_space import Genotype, Supernet
from search_space.genotype import EDGES_PER_NODE, CellGenotype
from trials.config import TrialConfig
from trials.search.expected_macs import mac_tables
from trials.search.no_search import given_genotype


def extreme_genotypes(
    config: TrialConfig, shape: tuple[int, int, int], classes: int
) -> tuple[Genotype, Genotype]:
    """Return the genotypes with the fewest and with the most macs, for images [C, H, W].

    Macs add up over edges, so each node keeps its cheapest (or most expensive) edges, with their cheapest (or most
    expensive) primitives. Without a search, both are the architecture that is given.
    """
    if (given := given_genotype(config)) is not None:
        return given, given
    supernet = sized_supernet(config, shape, classes)
    _, tables = mac_tables(supernet, shape)
    names = [name for name in supernet.space.primitives if name != "none"]
    columns = [supernet.space.primitives.index(name) for name in names]

    def genotype(sign: float) -> Genotype:
        cells = {
            kind: _cell(sign * table[:, columns], names, supernet.nodes) for kind, table in tables.items()
        }
        return Genotype(cells["normal"], cells.get("reduce"))

    return genotype(1.0), genotype(-1.0)


def sized_supernet(config: TrialConfig, shape: tuple[int, int, int], classes: int) -> Supernet:
    """Return a supernet of the size of a trial's discrete network, without values (on the meta device)."""
    with torch.device("meta"):
        return Supernet(
            config.space.name,
            classes=classes,
            image_channels=shape[0],
            nodes=config.space.nodes,
            **config.network_sizes(),
        )


def _cell(costs: Tensor, names: list[str], nodes: int) -> CellGenotype:
    """Return the cell of least cost; ``costs`` [E, P] of the primitives ``names`` on each edge."""
    edges: list[tuple[str, int]] = []
    first = 0
    for node in range(nodes):
        least, primitive = costs[first : first + node + 2].min(dim=1)
        for source in sorted(least.topk(EDGES_PER_NODE, largest=False).indices.tolist()):
            edges.append((names[int(primitive[source])], source))
        first += node + 2
    return CellGenotype(tuple(edges), tuple(range(2, nodes + 2)))
