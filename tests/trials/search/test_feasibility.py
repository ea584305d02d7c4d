"""Constraints on the cost of a network, checked before the training."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from results.pareto.constraints import parse_all
from search_space import Genotype, Network
from search_space.genotype import CellGenotype
from search_space.space import SPACES
from tests.trials.tiny import context_in, tiny_config
from trials.config import TrialConfig
from trials.cost.cost import count_cost
from trials.errors import InfeasibleError
from trials.search.feasibility import check_reach, mac_range
from trials.trial import run_trial

SHAPE = (1, 16, 16)


@pytest.mark.parametrize("space", ["attention", "darts"])
def test_the_range_of_macs_covers_exactly_all_networks_of_a_space(space: str) -> None:
    config = sized(space, nodes=1, cells=1 if space == "attention" else 3)
    cells = cells_of_one_node(space)
    normal = sorted(cells, key=lambda cell: macs_of(config, cell, cells[0]))
    reduce = sorted(cells, key=lambda cell: macs_of(config, cells[0], cell))
    ends = [macs_of(config, normal[end], reduce[end]) for end in (0, -1)]
    assert mac_range(config, SHAPE, classes=10) == tuple(ends)


def test_the_range_is_that_of_the_discrete_network_not_of_the_supernet() -> None:
    config = sized("darts", nodes=2, cells=3)
    wider = config.model_copy(update={"train": config.train.model_copy(update={"cells": 6, "channels": 8})})
    assert mac_range(wider, SHAPE, 10)[0] > mac_range(config, SHAPE, 10)[0]


@pytest.mark.parametrize(
    ("bound", "message"),
    [
        ("macs <= 10", r"a network must have macs <= 10, but the least that a search can find is [\d,]+"),
        ("flops >= 1e15", r"must have flops >= 1e\+15, but the most that a search can find is [\d,]+"),
    ],
)
def test_a_constraint_that_no_network_satisfies_is_an_error_before_the_search(
    tmp_path: Path, bound: str, message: str
) -> None:
    context = replace(context_in(tmp_path), constraints=parse_all([bound]))
    config = tiny_config("darts")
    with pytest.raises(InfeasibleError, match=message):
        run_trial(config, context)
    assert context.directory.read_progress(config.trial_key()).num_rows == 0


def test_constraints_at_both_ends_of_the_range_can_be_satisfied() -> None:
    config = sized("darts", nodes=2, cells=3)
    least, most = mac_range(config, SHAPE, 10)
    check_reach(config, SHAPE, 10, parse_all([f"macs <= {least}", f"macs >= {most}", "params <= 1"]))
    with pytest.raises(InfeasibleError):
        check_reach(config, SHAPE, 10, parse_all([f"flops <= {2 * least - 1}"]))


def sized(space: str, *, nodes: int, cells: int) -> TrialConfig:
    sizes = {"name": space, "cells": cells, "nodes": nodes, "channels": 4, "output_node": "concat"}
    return TrialConfig.model_validate({"space": sizes})


def cells_of_one_node(space: str) -> list[CellGenotype]:
    """Return every cell with one node, which keeps both of its edges."""
    names = [name for name in SPACES[space].primitives if name != "none"]
    return [CellGenotype(((one, 0), (other, 1)), (2,)) for one, other in itertools.product(names, repeat=2)]


def macs_of(config: TrialConfig, normal: CellGenotype, reduce: CellGenotype) -> int:
    genotype = Genotype(normal, reduce if SPACES[config.space.name].skeleton.reductions else None)
    network = Network(
        genotype, classes=10, image_channels=1, space=config.space.name, **config.network_sizes()
    )
    return count_cost(network, SHAPE).macs
