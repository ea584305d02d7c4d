"""Thresholds by the error of the layer that reads a map (CETT: Zhang et al., Sparsing Law, 2024).

With f the layer that reads a tap's map x, and x' the map with all features below tau set to zero, the error of tau is

    || f(x) - f(x') ||_2 / || f(x) ||_2,

with the norms taken over all calibration images together. Every other map is that of the unchanged network. The layer
is a convolution or a linear layer with its bias, without a batch norm; for queries, keys, values and probabilities it
is the attention product.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from search_space.attention import MLP, AttentionProduct, SelfAttention
from search_space.feature_map import Listener, listening, taps
from search_space.primitives import ConvBlock, FactorizedReduce
from search_space.skeleton import Classifier
from trials.data.batches import Batch
from trials.device.compute import Compute
from trials.feature_maps.histogram import BINS, EDGES
from trials.ladder.tap_filter import Range

Reader = Callable[[Tensor], Tensor]
"""The layer that reads a map."""


def thresholds_of_error(
    network: nn.Module, ranges: Mapping[str, Range], error: float, batches: Sequence[Batch], compute: Compute
) -> dict[str, float]:
    """Return the largest threshold of each tap whose error is at most ``error``; taps that no layer reads are left out.

    The thresholds are edges of histogram bins, found by bisection, for all taps at once.
    """
    names = read_taps(network)
    low = dict.fromkeys(names, 0)
    high = {name: int(np.searchsorted(ranges[name].histogram.share_below, 1.0)) for name in names}
    while any(high[name] - low[name] > 1 for name in names):
        middle = {name: (low[name] + high[name] + 1) // 2 for name in names}
        errors = layer_errors(network, {name: EDGES[middle[name]] for name in names}, batches, compute)
        for name in names:
            side = low if errors[name] <= error else high
            side[name] = middle[name]
    return {name: float(EDGES[min(low[name], BINS - 1)]) for name in names}


@torch.no_grad()
def layer_errors(
    network: nn.Module, thresholds: Mapping[str, float], batches: Sequence[Batch], compute: Compute
) -> dict[str, float]:
    """Return the error of the threshold of each tap, each pruned by itself."""
    sums: dict[str, Tensor] = {name: torch.zeros(2, dtype=torch.float64) for name in thresholds}
    readers = linear_readers(network)

    def listener(name: str, reader: Reader) -> Listener:
        def compare(x: Tensor) -> Tensor:
            _add(sums, name, reader(x), reader(_pruned(x, thresholds[name])))
            return x

        return compare

    products = {
        name: module for name, module in network.named_modules() if isinstance(module, AttentionProduct)
    }
    handles = [
        module.register_forward_hook(partial(_compare_product, sums, thresholds, name))
        for name, module in products.items()
    ]
    try:
        with listening(network, {name: listener(name, reader) for name, reader in readers.items()}):
            for images, _ in batches:
                with compute.autocast():
                    network(images)
    finally:
        for handle in handles:
            handle.remove()
    return {name: _ratio(*total.tolist()) for name, total in sums.items()}


def read_taps(network: nn.Module) -> list[str]:
    """Return the names of the taps whose map a multiplication reads, in the order of the taps."""
    return [name for name, tap in taps(network).items() if not tap.waiting]


def linear_readers(network: nn.Module) -> dict[str, Reader]:
    """Return the convolution or linear layer that reads each tap, by the name of the tap."""
    found: dict[str, Reader] = {}
    for name, module in network.named_modules():
        prefix = f"{name}." if name else ""
        if isinstance(module, ConvBlock):
            found[f"{prefix}input"] = module.conv
            if module.pointwise is not None:
                found[f"{prefix}hidden"] = module.pointwise
        elif isinstance(module, FactorizedReduce):
            found[f"{prefix}input"] = module.convolved
        elif isinstance(module, SelfAttention):
            found[f"{prefix}input"] = module.in_projection
            found[f"{prefix}context"] = module.out_projection
        elif isinstance(module, MLP):
            found[f"{prefix}input"], found[f"{prefix}hidden"] = module.up, module.down
        elif isinstance(module, Classifier):
            found[f"{prefix}input"] = module.linear
    return found


def _compare_product(
    sums: dict[str, Tensor], thresholds: Mapping[str, float], name: str, module: nn.Module,
    inputs: tuple[Tensor, ...], output: Tensor,
) -> None:  # fmt: skip
    """Add the errors of pruned queries, keys, values and probabilities: a forward hook of attention products."""
    assert isinstance(module, AttentionProduct)
    owner = name.rpartition(".")[0]
    for index, part in enumerate(("query", "key", "value")):
        tap, operands = f"{owner}.{part}", list(inputs)
        operands[index] = _pruned(operands[index], thresholds[tap])
        query, key, value, bias = operands
        _add(sums, tap, output, module.explicit(query, key, value, bias))
    probabilities = f"{name}.probabilities"
    prune = partial(_pruned, threshold=thresholds[probabilities])
    query, key, value, bias = inputs
    _add(sums, probabilities, output, module.explicit(query, key, value, bias, prune))


def _pruned(x: Tensor, threshold: float) -> Tensor:
    return torch.where(x.abs() < threshold, 0.0, x)


def _add(sums: dict[str, Tensor], name: str, expected: Tensor, found: Tensor) -> None:
    """Add || expected - found ||^2 and || expected ||^2 to the sums of a tap."""
    squares = torch.stack([(expected - found).double().square().sum(), expected.double().square().sum()])
    sums[name] = sums[name].to(squares.device) + squares


def _ratio(difference: float, whole: float) -> float:
    if difference == 0:
        return 0.0
    return float((difference / whole) ** 0.5) if whole else float("inf")
