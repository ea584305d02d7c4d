"""Sizes of maps image by image, and the memory of the image that needs most."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from search_space import Network
from search_space.feature_map import listening
from tests.trials.ladder.test_ladder import COMPUTE, OFF, batches, filters, rows_of, rung
from tests.trials.tiny import network_of
from trials import coding, count_cost
from trials.config import Rung
from trials.feature_maps.deployed import deploy
from trials.feature_maps.quantization import AffineQuantizer
from trials.ladder.ladder import evaluate
from trials.ladder.tap_filter import TapFilter

CODECS = ["none", "best", *coding.CODECS]


@pytest.mark.parametrize("codec", ["best", *coding.CODECS])
def test_sizes_of_many_histograms_equal_those_of_each(codec: str) -> None:
    random = np.random.default_rng(0)
    rows = [random.geometric(p, 400).clip(1, top) - 1 for p in (0.02, 0.3, 0.9, 1.0) for top in (2, 9, 256)]
    counts = np.stack([np.bincount(row, minlength=256) for row in rows])
    expected = [coding.size_from_histogram(torch.from_numpy(row), codec) for row in counts]
    assert coding.sizes_from_histograms(counts, codec).tolist() == expected


@pytest.mark.parametrize("bits", [3, 8, 32])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_counts_by_image_are_those_of_each_image_alone(bits: int, layout: torch.memory_format) -> None:
    x = torch.randn(4, 6, 5, 5).to(memory_format=layout)
    filter_ = TapFilter(0.2, AffineQuantizer(-2.0, 2.5, bits))
    out, counts = filter_.apply_and_count_by_image(x)
    assert torch.equal(out, filter_(x))
    strided, strided_counts = filter_.apply_and_count_by_image(
        x.transpose(2, 3)
    )  # not in one piece of memory
    assert torch.equal(strided, out.transpose(2, 3))
    assert torch.equal(strided_counts, counts)
    for image, of_image in zip(out, counts, strict=True):
        if bits == 32:
            assert int(of_image) == int(image.count_nonzero())
        else:
            symbols = filter_.quantizer.symbols(image).flatten().long()
            assert torch.equal(of_image, symbols.bincount(minlength=256))


def memories(network: Network, at: Rung) -> list[float]:
    """Return the memory that each image needs at a rung: every map of it is a stream of its own."""
    cost, deployed, applied = (
        count_cost(network, (1, 8, 8)),
        deploy(network, at.weight_bits),
        filters(network, at),
    )
    stored: dict[str, float] = {}

    def coded(name: str) -> Callable[[Tensor], Tensor]:
        def listen(x: Tensor) -> Tensor:
            x = applied[name](x)
            symbols = applied[name].quantizer.symbols(x)
            packed = x.numel() * at.feature_map_bits
            stored[name] = (packed if at.codec == "none" else coding.size_in_bits(symbols, at.codec)) / 8
            return x

        return listen

    found = []
    with torch.no_grad(), listening(deployed.network, {name: coded(name) for name in applied}):
        for image in torch.cat([images for images, _ in batches()]):
            deployed.network(image[None])
            found.append(deployed.weight_bytes(at.codec) + cost.peak_map_bytes(stored))
    return found


@pytest.mark.parametrize(("kind", "codec"), [("attention", "best"), ("convolutions", "none")])
def test_memory_is_that_of_the_image_that_needs_most(kind: str, codec: str) -> None:
    network, at = network_of(kind), rung(threshold=0.3, feature_map_bits=6, weight_bits=8, codec=codec)
    row = rows_of(network, at)[0]
    of_images = memories(network, at)
    assert row["memory_bytes"] == pytest.approx(max(of_images))
    assert row["memory_bytes_mean"] == pytest.approx(np.mean(of_images))
    assert (row["memory_bytes"] > row["memory_bytes_mean"]) == (codec != "none")


def test_one_image_that_cannot_be_pruned_decides_the_memory() -> None:
    network, cost = network_of(), count_cost(network_of(), (1, 8, 8))
    dark, bright = torch.zeros(11, 1, 8, 8), torch.randn(1, 1, 8, 8)
    labels = torch.zeros(12, dtype=torch.int64)
    at = rung(threshold=0.4, threshold_mode="relative", codec="zero_value")
    assert at.feature_map_bits == OFF.feature_map_bits
    row, alone = (
        evaluate(network, [at], cost, COMPUTE, [(images, labels[: len(images)])], batches)[0]
        for images in (torch.cat([dark, bright]), dark)
    )
    assert float(str(row["memory_bytes"])) > float(str(alone["memory_bytes_mean"]))
