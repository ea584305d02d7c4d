"""Constraints on what a network costs, held against a trial before its search and again before its training.

Before the search only a range is known: the macs of every network that a search could derive lie between the sums of
each node's two cheapest and two dearest edges. A range that is wholly outside a bound ends the trial there.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from results.pareto.constraints import Constraint
from search_space import Genotype, Supernet
from search_space.genotype import EDGES_PER_NODE
from trials.config import TrialConfig
from trials.cost.cost import count_cost
from trials.data.loading import Images
from trials.errors import InfeasibleError
from trials.search.expected_macs import mac_tables
from trials.train.training import build_network

COSTS = ("macs", "flops", "params")
"""What an architecture costs before it is trained, exactly."""
_PER_MAC = {"macs": 1, "flops": 2}


def check_reach(
    config: TrialConfig, shape: tuple[int, int, int], classes: int, constraints: Sequence[Constraint]
) -> None:
    """Refuse a configuration of which no network can keep the constraints on macs or flops.

    Error: ``InfeasibleError`` with the nearest that can be reached.
    """
    bounds = [bound for bound in constraints if bound.column in _PER_MAC]
    if not bounds:
        return
    least, most = mac_range(config, shape, classes)
    for bound in bounds:
        nearest = _PER_MAC[bound.column] * (least if bound.at_most else most)
        if bound.violation(nearest) > 0:
            side = "least" if bound.at_most else "most"
            raise InfeasibleError(
                f"a network must have {bound}, but the {side} that a search can find is {nearest:,}"
            )


def check_cost(
    config: TrialConfig, genotype: Genotype, images: Images, constraints: Sequence[Constraint]
) -> None:
    """Refuse an architecture that breaks a constraint on one of ``COSTS``. Error: ``InfeasibleError``."""
    bounds = [bound for bound in constraints if bound.column in COSTS]
    if not bounds:
        return
    cost = count_cost(build_network(config, genotype, images), images.shape)
    for bound in bounds:
        value = getattr(cost, bound.column)
        if bound.violation(value) > 0:
            raise InfeasibleError(f"the architecture must have {bound}, but got {value:,}")


def mac_range(config: TrialConfig, shape: tuple[int, int, int], classes: int) -> tuple[int, int]:
    """Return the least and the most macs of one image [C, H, W] in any network that the search could derive.

    Exact, not an estimate: macs add up over edges, and every node keeps ``EDGES_PER_NODE`` of them.
    """
    with torch.device("meta"):
        supernet = Supernet(
            config.space.name, classes=classes, image_channels=shape[0], **config.network_sizes()
        )
    least, tables = mac_tables(supernet, shape)
    most = least
    usable = [place for place, name in enumerate(supernet.space.primitives) if name != "none"]
    for table in tables.values():
        macs, first = table[:, usable], 0
        for node in range(supernet.nodes):
            incoming = macs[first : first + node + 2]
            least += int(incoming.amin(dim=1).topk(EDGES_PER_NODE, largest=False).values.sum())
            most += int(incoming.amax(dim=1).topk(EDGES_PER_NODE).values.sum())
            first += node + 2
    return least, most
