"""Taps that the patterns of a trial match, and errors for patterns that match none."""

from __future__ import annotations

import pytest

from search_space.feature_map import taps
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
