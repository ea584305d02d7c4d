"""Histograms of features, the ranges that they give quantizers, and corrected biases."""

from __future__ import annotations

from copy import deepcopy
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from search_space.feature_map import listening, taps
from tests.trials.tiny import CPU, network_of
from trials.config import Rung
from trials.device.compute import Compute
from trials.feature_maps.bias_correction import correct_biases
from trials.feature_maps.clipping import clipped_range, largest_magnitudes
from trials.feature_maps.deployed import deploy, fold
from trials.feature_maps.histogram import EDGES, Histogram, count_patterns
from trials.feature_maps.quantization import AffineQuantizer, quantize_weight
from trials.ladder.preparation import Preparation

COMPUTE = Compute(CPU, "float64")


def histogram_of(*batches: Tensor) -> Histogram:
    return Histogram.of(torch.stack([count_patterns(x) for x in batches]).sum(0))


def heavy_tailed(count: int = 20_000) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(count, generator=generator) ** 3 - 0.1


def test_a_histogram_counts_exactly_how_many_features_lie_below_each_threshold() -> None:
    x = torch.cat([heavy_tailed(), torch.zeros(2_000), torch.tensor([-1e-39, 3e38])])
    histogram = histogram_of(x[:5_000], x[5_000:].double())
    for share in (0.2, 0.5, 0.9, 1.0):
        tau = histogram.threshold_of(share)
        assert float((x.abs() < tau).double().mean()) == pytest.approx(share, abs=2e-3)
        assert float(torch.tensor(tau).bfloat16()) == tau, "thresholds are bfloat16 numbers"
        known = histogram.share_below[np.searchsorted(EDGES, tau)]
        assert known == pytest.approx(float((x.abs() < tau).double().mean()), rel=1e-12)
    assert histogram.threshold_of(0.05) == 0.0, "the zeros alone are more"


def test_quantiles_are_those_of_the_features_up_to_a_bin() -> None:
    x = heavy_tailed()
    histogram = histogram_of(x)
    for share, tolerance in ((0.001, 1e-4), (0.3, 5e-3), (0.999, 1e-4)):
        assert float((x <= histogram.quantile(share)).double().mean()) == pytest.approx(share, abs=tolerance)


def squared_error(x: Tensor, bits: int, low: float, high: float) -> float:
    return float((AffineQuantizer(low, high, bits)(x) - x).double().square().mean())


@pytest.mark.parametrize("bits", [3, 4, 8])
def test_mse_clipping_comes_close_to_the_best_of_all_ranges(bits: int) -> None:
    for x in (heavy_tailed(), heavy_tailed().relu(), heavy_tailed().abs() + 1):
        low, high, error = float(x.min()), float(x.max()), partial(squared_error, x, bits)
        found = error(*clipped_range(histogram_of(x), low, high, bits, "mse"))
        shares = torch.linspace(0.02, 1, 25).tolist()
        best = min(
            error(one * min(low, 0), other * high) for one in (shares if low < 0 else [0]) for other in shares
        )
        assert found <= 1.05 * best
        assert found <= error(low, high) * (1 + 1e-6)


def test_percentiles_clip_a_thousandth_at_either_end_but_never_the_whole_map() -> None:
    x = heavy_tailed()
    low, high = clipped_range(histogram_of(x), float(x.min()), float(x.max()), 4, "percentile")
    assert float((x < low).double().mean()) == pytest.approx(0.001, abs=3e-4)
    assert float((x > high).double().mean()) == pytest.approx(0.001, abs=3e-4)
    sparse = torch.zeros(10_000)
    sparse[:3] = 5.0
    assert clipped_range(histogram_of(sparse), 0.0, 5.0, 4, "percentile") == (0.0, 5.0)
    assert clipped_range(histogram_of(torch.zeros(5)), 0.0, 0.0, 4, "mse") == (0.0, 0.0)


@pytest.mark.parametrize("bits", [3, 4])
def test_a_clipped_weight_channel_has_a_smaller_squared_error(bits: int) -> None:
    weight = torch.randn(6, 40, 3, 3, generator=torch.Generator().manual_seed(1)) ** 3
    weight[2] = 0
    plain, clipped = (
        quantize_weight(weight, bits, partial(largest_magnitudes, bits=bits, calibration=name)).dequantize()
        for name in ("minmax", "mse")
    )
    assert torch.equal(plain, quantize_weight(weight, bits).dequantize())
    errors = [(one - weight).square().flatten(1).sum(1) for one in (plain, clipped)]
    assert (errors[1] <= errors[0]).all()
    assert (errors[1] < 0.99 * errors[0])[[0, 1, 3, 4, 5]].all()


@pytest.mark.parametrize("kind", ["convolutions", "attention"])
def test_a_corrected_layer_has_the_mean_output_of_the_unchanged_one(kind: str) -> None:
    network = network_of(kind, torch.float64)
    images = torch.randn(12, 1, 8, 8, dtype=torch.float64)
    batches = [(images[:8], torch.zeros(8)), (images[8:], torch.zeros(4))]
    rung = Rung(threshold=0.1, threshold_mode="relative", weight_bits=3, feature_map_bits=3, codec="best")
    filters = Preparation(network, batches, COMPUTE).filters(rung)
    reference, quantized = deepcopy(network), deploy(network, 3).network
    fold(reference)
    plain = deepcopy(quantized)
    correct_biases(reference, quantized, filters, batches, COMPUTE)
    inputs: dict[str, Tensor] = {}
    layer = "cell1.preprocess1.conv"
    with (
        torch.no_grad(),
        listening(reference, {"cell1.preprocess1.input": lambda x: inputs.setdefault("x", x)}),
    ):
        reference(images)
        expected = reference.get_submodule(layer)(inputs["x"]).mean((0, 2, 3))
        filtered = filters["cell1.preprocess1.input"](inputs["x"])
        corrected, before = (
            network.get_submodule(layer)(filtered).mean((0, 2, 3)) for network in (quantized, plain)
        )
    torch.testing.assert_close(corrected, expected, rtol=1e-9, atol=1e-9)
    assert (before - expected).abs().max() > 1e-3
    layers = [m for m in quantized.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert all(layer.bias is not None for layer in layers)
    assert all(tap.listener is None for tap in taps(reference).values())


def test_folding_keeps_the_biases_of_a_corrected_network() -> None:
    network = network_of("convolutions", torch.float64)
    images = torch.randn(6, 1, 8, 8, dtype=torch.float64)
    rung = Rung(
        threshold=0.5,
        threshold_mode="share",
        weight_bits=32,
        feature_map_bits=32,
        codec="best",
        correction="bias",
    )
    corrected = Preparation(network, [(images, torch.zeros(6))], COMPUTE).deployed(rung).network
    with torch.no_grad():
        before, plain = corrected(images), network(images)
        fold(corrected)
        torch.testing.assert_close(corrected(images), before, rtol=1e-9, atol=1e-9)
    assert (before - plain).abs().max() > 1e-3
