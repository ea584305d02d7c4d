"""A ladder on one network, on any device: for the comparison of its rows, and for its time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from unittest import mock

import torch
from torch import Tensor

from benchmarks.regularization import ATTENTION, CONVOLUTIONS
from search_space import Network
from trials.config import Rung
from trials.cost.cost import count_cost
from trials.cost.effective import conv_effective_macs
from trials.data.batches import Batch
from trials.device.compute import Compute
from trials.feature_maps.quantization import OFF, AffineQuantizer
from trials.ladder.ladder import evaluate
from trials.ladder.tap_filter import TapFilter
from trials.points import batch_size

NETWORKS = {"conv": ("darts", CONVOLUTIONS), "attention": ("attention", ATTENTION)}
CLASSES = 10


def _rung(threshold: float, weight_bits: int, feature_map_bits: int) -> Rung:
    return Rung(
        threshold=threshold, threshold_mode="relative", weight_bits=weight_bits,
        feature_map_bits=feature_map_bits, codec="best",
    )  # fmt: skip


RUNGS = (_rung(0.0, 32, 32), _rung(0.2, 32, 32), _rung(0.0, 32, 8), _rung(0.2, 8, 4))
"""A pass each: plain, pruned, quantized, and all of it."""


def network(kind: str, channels: int, side: int, cells: int = 3) -> Network:
    """Return a network on the CPU in evaluation mode, with running statistics of random images."""
    space, genotype = NETWORKS[kind]
    made = Network(genotype, channels=channels, cells=cells, classes=CLASSES, space=space, splitting=1)
    made.train()
    with torch.no_grad():
        for _ in range(3):
            made(torch.randn(8, 3, side, side))
    return made.eval()


def rows(
    made: Network, device: torch.device, images: int, side: int, rungs: Sequence[Rung] = RUNGS,
    precision: str = "float32",
) -> list[dict[str, object]]:  # fmt: skip
    """Return the rows of the ladder on ``device``, on the same random images wherever that is."""
    compute = Compute(device, precision)
    on_device = deepcopy(made)
    compute.place(on_device)
    generator = torch.Generator().manual_seed(2)
    pixels = torch.randn(images, 3, side, side, generator=generator).to(compute.dtype)
    labels = torch.randint(0, CLASSES, (images,), generator=generator)
    batches = _batches(pixels, labels, device)
    cost = count_cost(made, (3, side, side))
    return evaluate(on_device, rungs, cost, compute, batches[:1], lambda: batches)


def _batches(pixels: Tensor, labels: Tensor, device: torch.device) -> list[Batch]:
    size = batch_size((pixels.shape[1], pixels.shape[2], pixels.shape[3]), device)
    placed = pixels.to(device).contiguous(memory_format=torch.channels_last)
    return list(zip(placed.split(size), labels.to(device).split(size), strict=True))


@contextmanager
def torch_operations() -> Iterator[None]:
    """Count feature maps with torch's operations on the CPU too, as on a GPU, instead of passes compiled by numba."""
    nothing = mock.Mock(return_value=None)
    with (
        mock.patch("trials.ladder.tap_filter.in_memory_order", nothing),
        mock.patch("trials.cost.effective.in_memory_order", nothing),
    ):
        yield


def maps_that_differ(device: torch.device, images: int, channels: int, side: int) -> list[str]:
    """Return which filters change or count a map on ``device`` otherwise than on the CPU: the same float32 map.

    Compared bit for bit: the filtered map, its symbols together and by image, and effective macs that read it.
    """
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(images, channels, side, side, generator=generator)
    conv = torch.nn.Conv2d(channels, channels, 3, stride=2, padding=1)
    differing = []
    for threshold in (0.0, 0.3):
        for bits in (2, 3, 4, 5, 6, 7, 8, OFF):
            filter_ = TapFilter(threshold, AffineQuantizer(-2.5, 3.1, bits))
            found = [_filtered(filter_, conv, x.to(place)) for place in (device, torch.device("cpu"))]
            if not all(map(torch.equal, *found)):
                differing.append(f"threshold {threshold}, {bits} bits")
    return differing


def _filtered(filter_: TapFilter, conv: torch.nn.Conv2d, x: Tensor) -> list[Tensor]:
    out, count = filter_.apply_and_count(x)
    counts = (
        count.histogram if filter_.quantizer.bits != OFF else count.sums[::2]
    )  # without the sum of magnitudes
    by_image = filter_.apply_and_count_by_image(x)[1]
    return [part.cpu() for part in (out, counts, by_image, conv_effective_macs(conv, out)[1])]


SUMS = {"loss": 1e-6, "mean_magnitude": 1e-6}
"""Columns that are sums of floating-point numbers, and the relative difference that another order of adding makes. All
other columns follow from counts of features and symbols, and have to be equal."""


def columns_that_differ(
    expected: Sequence[Mapping[str, object]], found: Sequence[Mapping[str, object]]
) -> dict[str, float]:
    """Return the columns that differ in any row, those of the taps included, with their largest relative difference."""
    differing: dict[str, float] = {}
    for left, right in zip(expected, found, strict=True):
        for name, value in left.items():
            other = right[name]
            if isinstance(value, list) and isinstance(other, list):
                of_cell = {f"{name}.{column}": d for column, d in columns_that_differ(value, other).items()}
            else:
                of_cell = {name: relative_difference(value, other)}
            for column, difference in of_cell.items():
                if difference > SUMS.get(column.rpartition(".")[2], 0.0):
                    differing[column] = max(differing.get(column, 0.0), difference)
    return differing


def relative_difference(expected: object, found: object) -> float:
    """Return the relative difference of two cells: infinite for unequal texts, and from zero."""
    if expected == found:
        return 0.0
    if isinstance(expected, int | float) and isinstance(found, int | float) and expected:
        return abs(found - expected) / abs(expected)
    return math.inf
