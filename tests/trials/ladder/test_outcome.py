"""Accuracy on validation and on test images, and which of the test images are right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from results.pareto.pairing import mask_of
from search_space import Network
from search_space.feature_map import listening
from tests.trials.ladder.test_ladder import COMPUTE, OFF, batches, filters, rung
from tests.trials.tiny import network_of
from trials import TrialError, count_cost
from trials.config import Rung
from trials.data.batches import Batch
from trials.ladder.calibration import calibrate
from trials.ladder.ladder import evaluate
from trials.ladder.outcome import Outcomes, classify, outcome_of

PRUNED = rung(threshold=0.2, feature_map_bits=4, weight_bits=8)


def row_of(
    network: Network, at: Rung, test: Sequence[Batch], validation: Sequence[Batch] | None = None
) -> dict[str, Any]:
    cost, held_out = count_cost(network, (1, 8, 8)), None if validation is None else lambda: validation
    return evaluate(network, [at], cost, COMPUTE, batches(), lambda: test, validation=held_out)[0]


@pytest.mark.parametrize("at", [OFF, PRUNED])
def test_a_point_is_measured_on_validation_images_and_classified_on_test_images(at: Rung) -> None:
    network, tested, validated = network_of(), batches(3), batches(2, size=5)
    both = row_of(network, at, tested, validated)
    alone, of_test = row_of(network, at, validated), row_of(network, at, tested)
    own = {"test_accuracy", "test_loss", "test_images", "correct", "validation_images"}
    assert {n: both[n] for n in both.keys() - own} == {n: alone[n] for n in alone.keys() - own}
    assert (both["validation_images"], alone["validation_images"]) == (10, 0)
    assert (both["test_accuracy"], both["test_loss"]) == (of_test["accuracy"], of_test["loss"])
    assert both["correct"] == of_test["correct"]
    assert mask_of(both["correct"], 18).mean() == both["test_accuracy"]


def test_the_mask_names_the_images_that_are_right() -> None:
    network = network_of()
    with torch.no_grad():
        right = torch.cat([network(images).argmax(1) == labels for images, labels in batches()])
    outcome = classify(network, batches(), COMPUTE)
    assert np.array_equal(mask_of(outcome.bits(), 12), right.numpy())


def test_a_filter_without_counts_changes_the_map_like_one_that_counts() -> None:
    network = network_of("attention")
    for name, filter_ in filters(network, PRUNED).items():
        x = torch.randn(3, 4, 5, 5)
        assert torch.equal(filter_.apply(x), filter_.apply_and_count(x)[0]), name
    off = filters(network, OFF)
    with listening(network, {name: filter_.apply for name, filter_ in off.items()}):
        assert classify(network, batches(), COMPUTE).loss == classify(network, batches(), COMPUTE).loss


def test_a_loss_that_is_not_finite_is_an_error() -> None:
    outcomes = Outcomes()
    outcomes.add(torch.full((2, 10), math.nan), torch.zeros(2, dtype=torch.int64))
    with pytest.raises(TrialError, match="the loss of a rung must be finite, but got nan"):
        outcome_of(*outcomes.collected())


def test_mean_magnitudes_do_not_depend_on_how_the_images_are_batched() -> None:
    network = network_of()
    images = torch.randn(9, 1, 8, 8) * torch.tensor([1.0] * 8 + [50.0]).view(-1, 1, 1, 1)
    labels = torch.zeros(9, dtype=torch.int64)
    whole = calibrate(network, [(images, labels)], COMPUTE)
    uneven = calibrate(network, [(images[:8], labels[:8]), (images[8:], labels[8:])], COMPUTE)
    for name, expected in whole.items():
        assert uneven[name].mean_magnitude == pytest.approx(expected.mean_magnitude, rel=1e-5), name
