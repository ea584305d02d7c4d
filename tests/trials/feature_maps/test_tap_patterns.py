"""Taps that the patterns of a trial match, and errors for patterns that match none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from search_space.attention import AttentionProduct
from search_space.feature_map import listening, taps
from tests.trials.tiny import network_of, tiny_config
from trials.config import TrialConfig
from trials.feature_maps.tap_patterns import TapError, matching_taps
from trials.search.tap_check import check_taps, possible_taps


def config_of(name: str, patterns: list[str], **changed: object) -> TrialConfig:
    sizes = {} if name == "darts" else {"channels": 8}
    return tiny_config(name, space=sizes, feature_maps={"taps": patterns} | changed)


def test_a_star_matches_the_inputs_of_multiplications() -> None:
    named = taps(network_of())
    matched = matching_taps(named, ["*"], "l1")
    assert {"cell0.preprocess0.input", "cell0.edge0.0.hidden"} <= set(matched)
    assert not any(named[name].waiting for name in matched)
    assert [name for name, tap in named.items() if not tap.waiting] == matched


def test_waiting_maps_take_part_if_a_specific_pattern_matches_them() -> None:
    named = taps(network_of())
    assert matching_taps(named, ["cell1.state?"], "l1") == [f"cell1.state{index}" for index in range(4)]
    assert set(matching_taps(named, ["cell1.*"], "l1")) == {n for n in named if n.startswith("cell1.")}


def test_probabilities_take_no_part_in_l1() -> None:
    named = taps(network_of("attention"))
    product = "cell0.edge0.product.probabilities"
    assert product in matching_taps(named, ["*"], "hoyer")
    assert product not in matching_taps(named, ["*"], "l1")


def test_a_pattern_that_matches_nothing_shows_the_nearest_tap() -> None:
    expected = r"must match a feature map, but got '\*\.qeury'; the nearest tap is '.*query'"
    with pytest.raises(TapError, match=expected):
        check_taps(config_of("attention", ["*", "*.qeury"]))


def test_a_pattern_of_probabilities_alone_needs_another_measure() -> None:
    patterns = ["*.probabilities"]
    with pytest.raises(TapError, match="`l1` needs a tap besides attention probabilities, but got"):
        check_taps(config_of("attention", patterns))
    check_taps(config_of("attention", patterns, measure="hoyer"))


def test_a_tap_that_only_some_architectures_have_is_valid() -> None:
    check_taps(config_of("hybrid", ["*.query"]))
    with pytest.raises(TapError, match=r"'\*\.query'"):
        check_taps(config_of("darts", ["*.query"]))


def test_taps_of_the_supernet_are_valid_if_the_term_is_part_of_the_search() -> None:
    config = config_of("darts", ["cell?.sources.*"], in_search=True)
    check_taps(config)
    with pytest.raises(TapError, match="sources"):
        check_taps(config_of("darts", ["cell?.sources.*"]))
    assert set(taps(network_of())) <= set(possible_taps(config))


def test_inputs_of_linear_layers_take_part_unless_the_trial_is_of_a_version_without_them() -> None:
    named = taps(network_of("attention"))
    linear = {name for name, tap in named.items() if tap.linear}
    assert {"classifier.input", "cell0.edge0.input", "cell0.edge1.input"} <= linear
    for patterns in (["*"], ["*.input"]):
        matched = set(matching_taps(named, patterns, "l1"))
        assert linear <= matched
        assert set(matching_taps(named, patterns, "l1", linear_inputs=False)) == matched - linear
    with pytest.raises(TapError, match=r"must match a feature map, but got 'classifier\.input'"):
        check_taps(config_of("attention", ["classifier.input"], linear_inputs=False))
    check_taps(config_of("attention", ["classifier.input"]))


@pytest.mark.parametrize("kind", ["convolutions", "attention"])
def test_every_layer_that_multiplies_reads_maps_from_taps_alone(kind: str) -> None:
    network = network_of(kind)
    read: dict[str, list[bool]] = {}

    def record(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            maps = inputs[:3] if isinstance(module, AttentionProduct) else inputs[:1]
            read[name] = [bool((x == 7).any()) for x in maps]

        return hook

    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear | AttentionProduct):
            module.register_forward_pre_hook(record(name))
    sevens = dict.fromkeys(taps(network), lambda x: torch.full_like(x, 7.0))
    with torch.no_grad(), listening(network, sevens):
        network(torch.randn(2, 1, 8, 8))
    assert [name for name, of_taps in read.items() if not all(of_taps)] == ["stem.0"], "the image is no map"
