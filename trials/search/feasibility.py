"""Constraints on the cost of a network, checked before the search and again before the training.

Before the search, only a range is known: the macs of every network that the search could derive lie between the sums
over each node's two cheapest and two most expensive edges. If the whole range breaks a constraint, the trial ends.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from results.pareto.constraints import Constraint
from search_space import Genotype
from search_space.genotype import EDGES_PER_NODE
from trials.config import TrialConfig
from trials.cost.cost import count_cost
from trials.data.image_set import Images
from trials.errors import InfeasibleError
from trials.search.expected_macs import mac_tables
from trials.search.extremes import sized_supernet
from trials.search.no_search import given_genotype
from trials.train.training import build_network, network_of

COSTS = ("macs", "flops", "params")
"""Columns that are known exactly before the training."""
_PER_MAC = {"macs": 1, "flops": 2}


def check_reach(
    config: TrialConfig, shape: tuple[int, int, int], classes: int, constraints: Sequence[Constraint]
) -> None:
    """Check that the search could derive a network that satisfies the constraints on macs and flops.

    Args:
        config: the trial.
        shape: [C, H, W] of the images.
        classes: of the images.
        constraints: of the sweep.

    Raises:
        InfeasibleError: no network satisfies a constraint; the message has the nearest possible value.
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
                f"a network must have {bound}, but the {side} that {_finder(config)} is {nearest:,}"
            )


def _finder(config: TrialConfig) -> str:
    return "the given architecture has" if config.search.algorithm == "none" else "a search can find"


def check_cost(
    config: TrialConfig, genotype: Genotype, images: Images, constraints: Sequence[Constraint]
) -> None:
    """Check that an architecture satisfies the constraints on macs, flops and params.

    Raises:
        InfeasibleError: it breaks one.
    """
    bounds = [bound for bound in constraints if bound.column in COSTS]
    if not bounds:
        return
    cost = count_cost(build_network(config, genotype, images), images.shape)
    for bound in bounds:
        value = getattr(cost, bound.column)
        if bound.violation(value) > 0:
            raise InfeasibleError(f"the architecture must have {bound}, but got {value:,}")


def mac_range(config: TrialConfig, shape: tuple[int, int, int], classes: int) -> tuple[int, int]:
    """Return the least and the most macs of any network that the search could derive, for one image [C, H, W].

    The range is exact: macs add up over edges, and every node keeps ``EDGES_PER_NODE`` of them. It is a single value
    for a trial that does not search.
    """
    if (genotype := given_genotype(config)) is not None:
        with torch.device("meta"):
            network = network_of(config, genotype, shape[0], classes)
        exact = count_cost(network, shape).macs
        return exact, exact
    supernet = sized_supernet(config, shape, classes)
    least, tables = mac_tables(supernet, shape)
    most = least
    usable = [index for index, name in enumerate(supernet.space.primitives) if name != "none"]
    for table in tables.values():
        macs, first = table[:, usable], 0
        for node in range(supernet.nodes):
            incoming = macs[first : first + node + 2]
            least += int(incoming.amin(dim=1).topk(EDGES_PER_NODE, largest=False).values.sum())
            most += int(incoming.amax(dim=1).topk(EDGES_PER_NODE).values.sum())
            first += node + 2
    return least, most
