"""Timing of a trial's steps, and the costs of the extreme networks, before it runs."""

from __future__ import annotations

import pytest

from tests.trials.tiny import tiny_config
from trials.forecast import _scaled, extreme_costs, time_steps
from trials.search.feasibility import mac_range

SHAPE = (1, 8, 8)


@pytest.mark.parametrize("space", ["attention", "darts"])
def test_the_extreme_networks_have_the_least_and_the_most_macs(space: str) -> None:
    config = tiny_config(space)
    assert tuple(cost.macs for cost in extreme_costs(config, SHAPE, 10)) == mac_range(config, SHAPE, 10)


def test_every_part_of_a_trial_is_timed() -> None:
    times = time_steps(tiny_config("darts"), SHAPE, 10, workers=1)
    assert times is not None
    assert times.search_s > times.train_s > 0
    assert times.image_s > 0


def test_a_large_batch_is_timed_on_the_line_through_smaller_ones() -> None:
    assert _scaled(lambda size: 3.0 + size, 100, largest=16) == 103.0
    assert _scaled(lambda size: 3.0 + size, 8, largest=16) == 11.0
