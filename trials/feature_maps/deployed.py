"""The deployed form of a network: batch norms folded into the layers before them, then weights quantized."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from search_space.attention import MLP, SelfAttention
from search_space.normalization import BatchNorm
from search_space.primitives import ConvBlock, FactorizedReduce
from trials import coding
from trials.device.reading import on_cpu
from trials.feature_maps.clipping import largest_magnitudes
from trials.feature_maps.quantization import OFF, fold_batch_norm, quantize_weight

N = TypeVar("N", int, NDArray[np.int64])
"""A number, or one for each image."""
FLOAT_BITS = 32
"""Bits of a float32."""


@dataclass(frozen=True, eq=False)
class Deployed:
    """A network in evaluation mode with quantized weights, and their size under each codec.

    Attributes:
        network: the network; its weights are the dequantized ones.
        symbols: the quantized weights of each layer that is quantized, on the CPU.
        bits: bits of a weight of each of these layers.
        scales: number of their scales.
    """

    network: nn.Module
    symbols: tuple[Tensor, ...] = ()
    bits: tuple[int, ...] = ()
    scales: int = 0

    @property
    def other_values(self) -> int:
        """Number of float32 values stored in addition to the symbols: scales, biases, norms, position tables."""
        values = sum(parameter.numel() for parameter in self.network.parameters())
        return values - sum(symbols.numel() for symbols in self.symbols) + self.scales

    def weight_bytes(self, codec: str) -> float:
        """Return the size of all parameters as stored, in bytes.

        Quantized weights are coded layer by layer; the codec ``none`` takes the layer's bits for each. Without any, all
        parameters take :func:`float_bits`.
        """
        if not self.symbols:
            values = torch.cat([p.detach().flatten() for p in self.network.parameters()])
            return float_bits(values.numel(), int((values != 0).sum()), codec) / 8
        coded = sum(symbol_bits(*layer, codec) for layer in zip(self.symbols, self.bits, strict=True))
        return (coded + FLOAT_BITS * self.other_values) / 8

    def sparsity(self) -> float:
        """Return the fraction of zeros among the weights of convolutions and linear layers."""
        weights = [m.weight for m in self.network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        return int(torch.stack([(w == 0).sum() for w in weights]).sum()) / sum(w.numel() for w in weights)


@torch.no_grad()
def deploy(
    network: nn.Module, bits: int, calibration: str = "minmax", outer_bits: int | None = None
) -> Deployed:
    """Return a copy of ``network`` with its weights at ``bits`` bits; ``network`` is not modified.

    With 32 bits nothing is folded, and the copy computes the same, bit for bit. Otherwise every batch norm is folded
    into the layer before it, weights of convolutions and linear layers are quantized symmetrically per output channel,
    and all other parameters stay float32.

    Args:
        network: the trained network.
        bits: 2 to 8, or 32 for off.
        calibration: how the range of a channel is chosen (:mod:`trials.feature_maps.clipping`).
        outer_bits: bits of the first and the last layer; None: ``bits``.

    Raises:
        ValueError: ``bits`` is not 2 to 8 or 32, or a weight is not finite.
    """
    deployed = deepcopy(network).eval()
    if bits == OFF:
        return Deployed(deployed)
    fold(deployed)
    layers = [module for module in deployed.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    symbols: list[Tensor] = []
    bits_of_layers: list[int] = []
    scales = 0
    for layer in layers:
        of_layer = outer_bits if outer_bits and layer in (layers[0], layers[-1]) else bits
        if of_layer == OFF:
            continue
        largest = partial(largest_magnitudes, bits=of_layer, calibration=calibration)
        quantized = quantize_weight(layer.weight, of_layer, largest)
        layer.weight.copy_(quantized.dequantize())
        symbols.append(quantized.symbols)
        bits_of_layers.append(of_layer)
        scales += quantized.scale.numel()
    return Deployed(deployed, tuple(on_cpu(symbols)), tuple(bits_of_layers), scales)


@torch.no_grad()
def fold(network: nn.Module) -> None:
    """Fold every batch norm of ``network`` into the layer before it, in place; valid in evaluation mode."""
    for module in list(network.modules()):
        if isinstance(module, ConvBlock):
            _fold_into(module.pointwise or module.conv, module.bn)
            module.add_module("bn", nn.Identity())
        elif isinstance(module, FactorizedReduce):
            half = module.even.out_channels
            _fold_into(module.even, module.bn, slice(0, half))
            _fold_into(module.odd, module.bn, slice(half, None))
            module.add_module("bn", nn.Identity())
        elif isinstance(module, SelfAttention | MLP):
            _fold_into(module.out_projection if isinstance(module, SelfAttention) else module.down, module.bn)
            module.add_module("bn", nn.Identity())
        elif isinstance(module, nn.Sequential) and len(module) == 2 and isinstance(module[1], BatchNorm):
            _fold_into(module[0], module[1])
            module[1] = nn.Identity()


def _fold_into(layer: nn.Module, bn: nn.Module, channels: slice | None = None) -> None:
    assert isinstance(layer, nn.Conv2d | nn.Linear)
    assert isinstance(bn, BatchNorm)
    norm = bn if channels is None else _part(bn, channels)
    weight, bias = fold_batch_norm(layer.weight, norm, layer.bias)
    layer.weight.copy_(weight)
    layer.bias = nn.Parameter(bias)


def _part(bn: BatchNorm, channels: slice) -> BatchNorm:
    """Return a batch norm of only these channels."""
    assert bn.running_mean is not None
    assert bn.running_var is not None
    part = BatchNorm(len(bn.running_mean[channels]))
    part.running_mean, part.running_var = bn.running_mean[channels], bn.running_var[channels]
    part.weight, part.bias = (nn.Parameter(whole.detach()[channels]) for whole in (bn.weight, bn.bias))
    return part.eval()


def symbol_bits(symbols: Tensor, bits: int, codec: str) -> int:
    """Return the size of integer symbols under ``codec``, in bits; ``none`` takes ``bits`` bits for each."""
    return symbols.numel() * bits if codec == "none" else coding.size_in_bits(symbols, codec)


def float_bits(values: N, nonzero: N, codec: str) -> N:
    """Return the size in bits of float32 values of which ``nonzero`` are not zero.

    ``zero_value`` stores a mask and the non-zero values; ``best`` is the smaller of that and 32 bits for each. All
    other codecs apply to integers only: they take 32 bits for each.
    """
    dense = FLOAT_BITS * values
    masked = values + FLOAT_BITS * nonzero
    if codec == "best":
        smaller: N = np.minimum(dense, masked)
        return smaller if isinstance(dense, np.ndarray) else int(smaller)
    return masked if codec == "zero_value" else dense
