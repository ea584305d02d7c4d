"""Straight-through gradients: the forward pass prunes and quantizes, the backward pass takes that for the identity.

Bengio, Leonard and Courville, Estimating or Propagating Gradients Through Stochastic Neurons, 2013.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from typing_extensions import override

from search_space.feature_map import Listener
from trials.feature_maps.clipping import largest_magnitudes
from trials.feature_maps.quantization import OFF, quantize_weight


def straight_through(function: Callable[[Tensor], Tensor]) -> Listener:
    """Return a listener that computes ``function``, and whose gradient is that of the identity."""

    def listen(x: Tensor) -> Tensor:
        out: Tensor = _StraightThrough.apply(x, function)
        return out

    return listen


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    @override
    def forward(ctx: FunctionCtx, x: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        out = function(x)
        return x.view_as(x) if out is x else out

    @staticmethod
    @override
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


@contextmanager
def quantized_weights(network: nn.Module, bits: int, calibration: str) -> Iterator[None]:
    """Give the convolutions and linear layers of ``network`` quantized weights for the duration of a ``with`` block.

    Gradients that are computed within the block are those of the quantized weights; an optimizer steps the weights
    themselves, after the block. Scales are chosen per output channel. They are those of the deployed form, although
    batch norms are not folded here: a factor on a channel changes its scale, not its levels.

    Args:
        network: its weights are replaced in place, and restored at the end.
        bits: 2 to 8, or 32 for off.
        calibration: how the range of a channel is chosen (:mod:`trials.feature_maps.clipping`).
    """
    if bits == OFF:
        yield
        return
    weights = [m.weight for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    kept = [weight.detach().clone() for weight in weights]
    largest = partial(largest_magnitudes, bits=bits, calibration=calibration)
    with torch.no_grad():
        for weight in weights:
            weight.copy_(quantize_weight(weight, bits, largest).dequantize())
    try:
        yield
    finally:
        with torch.no_grad():
            for weight, before in zip(weights, kept, strict=True):
                weight.copy_(before)
