"""Macs by tap, and the term that they weight as an estimate of effective macs."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor

from search_space import Genotype, Network
from search_space.feature_map import listening, taps
from tests.trials.tiny import network_of
from trials.cost.cost import count_cost
from trials.cost.effective import EffectiveMacs
from trials.cost.tap_macs import tap_macs
from trials.device.parallel import Mesh
from trials.feature_maps.measures import hoyer
from trials.feature_maps.regularization import Regularizer, TapStatistics

PERCEPTRONS = Genotype.parse(
    "Genotype(normal=[('mlp_2x', 0), ('mlp_4x', 1), ('skip_connect', 0), ('mlp_2x', 2)], normal_concat=[2, 3])"
)


def perceptrons() -> Network:
    """Return a network of which every layer but the stem reads a tap once everywhere, without padding."""
    torch.manual_seed(0)
    sizes = {"channels": 4, "cells": 2, "classes": 3, "image_channels": 1}
    network = Network(PERCEPTRONS, space="attention", activation="relu", **sizes)  # type: ignore[arg-type]
    return network.double().eval()


@pytest.mark.parametrize("kind", ["convolutions", "attention"])
def test_the_macs_of_all_taps_are_those_of_the_network_without_its_stem(kind: str) -> None:
    network = network_of(kind)
    cost, macs = count_cost(network, (1, 8, 8)), tap_macs(network, (1, 8, 8))
    stem = sum(layer.macs for layer in cost.layers if layer.name.startswith("stem"))
    assert sum(macs.values()) == cost.macs - stem
    by_layer = {layer.name: layer.macs for layer in cost.layers}
    assert macs["cell1.preprocess1.input"] == by_layer["cell1.preprocess1.conv"]
    if kind == "attention":
        for part in ("query", "key", "value", "product.probabilities"):
            assert macs[f"cell0.edge0.{part}"] == by_layer["cell0.edge0.product"] / 4
    assert all((name in macs) != tap.waiting for name, tap in taps(network).items())


def test_shares_of_features_weighted_by_macs_are_the_effective_macs() -> None:
    network, images = perceptrons(), torch.randn(5, 1, 8, 8, dtype=torch.float64)
    statistics, effective = TapStatistics(network), EffectiveMacs(network)
    with torch.no_grad(), effective.counting(statistics.listeners()):
        network(images)
    macs = tap_macs(network, (1, 8, 8))
    present = {row["tap"]: 1 - row["sparsity"] for row in statistics.rows(Mesh())}
    stem = count_cost(network, (1, 8, 8)).macs - sum(macs.values())
    estimate = stem + sum(share * present[name] for name, share in macs.items())
    assert effective.total() / 5 == pytest.approx(estimate, rel=1e-12)
    assert estimate < 0.95 * (stem + sum(macs.values()))


@pytest.mark.parametrize("equal_magnitudes", [False, True])
def test_the_hoyer_term_bounds_the_share_of_effective_macs_and_meets_it_for_equal_magnitudes(
    equal_magnitudes: bool,
) -> None:
    network, images = perceptrons(), torch.randn(5, 1, 8, 8, dtype=torch.float64)
    weights = Regularizer(network, "hoyer", ["*"], macs=tap_macs(network, (1, 8, 8))).weights
    seen: dict[str, Tensor] = {}

    def record(name: str, x: Tensor) -> Tensor:
        seen[name] = x.sign() if equal_magnitudes else x
        return seen[name]

    with torch.no_grad(), listening(network, {name: partial(record, name) for name in weights}):
        network(images)
    term = sum(weight * float(hoyer(seen[name])) for name, weight in weights.items())
    share = sum(weight * float((seen[name] != 0).double().mean()) for name, weight in weights.items())
    assert sum(weights.values()) == pytest.approx(1)
    if equal_magnitudes:
        assert term == pytest.approx(share, rel=1e-9)
    else:
        assert 0.2 * share < term < share
        regularizer = Regularizer(network, "hoyer", ["*"], macs=tap_macs(network, (1, 8, 8)))
        with torch.no_grad(), regularizer.collecting():
            network(images)
        assert float(regularizer.term()) == pytest.approx(term, rel=1e-9)
