"""Quantization of a trained network: weights symmetric per output channel, feature maps affine per tap.

2 to 8 bits; 32 is off. Zero stays exactly zero: a weight of zero is level 0, and a feature map's zero point
is an integer level, so that features below the threshold stay zeros that cost the codecs next to nothing.
Batch norm is folded into the convolution before it (:func:`fold_batch_norm`) where the folded form is what
is deployed.

Shapes: C_out output channels of a weight; ``...`` any shape.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

OFF = 32
"""The number of bits that stands for no quantization."""
SYMBOLS = 256
"""Symbols that 8 bits have."""
_SMALLEST = torch.finfo(torch.float32).tiny
"""A smaller scale than this is no scale in float32: what it would resolve is taken for zero."""


def check_bits(bits: int) -> None:
    """Raise ValueError unless ``bits`` is 2 to 8, or 32 for off."""
    whole = isinstance(bits, int) and not isinstance(bits, bool)
    if not whole or not (2 <= bits <= 8 or bits == OFF):
        raise ValueError(f"`bits` must be 2 to 8, or 32 for off, but got {bits!r}")


@dataclass(frozen=True)
class QuantizedTensor:
    """A weight as stored: ``symbols`` int8 [C_out, ...] times ``scale`` [C_out]."""

    symbols: Tensor
    scale: Tensor

    def dequantize(self) -> Tensor:
        """Return the weight that the symbols stand for, [C_out, ...] in the dtype of the scale."""
        return self.symbols.to(self.scale.dtype) * _per_channel(self.scale, self.symbols)


def quantize_weight(weight: Tensor, bits: int) -> QuantizedTensor:
    """Quantize a weight [C_out, ...] symmetrically, each output channel with its own scale.

    Levels are -(2^(bits-1) - 1) to 2^(bits-1) - 1 and the largest magnitude of a channel is the last of
    them; no weight moves by more than half a scale. A channel of zeros has scale 1. Raises ValueError for
    bits other than 2 to 8, and for a weight that is not finite.
    """
    _check_on(bits)
    if weight.dim() == 0 or not torch.isfinite(weight).all():
        raise ValueError(f"`weight` must be finite, [C_out, ...], but got {_describe(weight)}")
    top = 2 ** (bits - 1) - 1
    weight = weight.detach().to(_working(weight.dtype))
    channels = weight.reshape(len(weight), -1) if weight.numel() else weight.new_zeros(len(weight), 1)
    scale = channels.abs().amax(1) / top  # [C_out]
    scale = torch.where(scale >= _SMALLEST, scale, torch.ones_like(scale))
    levels = (weight / _per_channel(scale, weight)).round().clamp(-top, top)
    return QuantizedTensor(levels.to(torch.int8), scale)


def fake_quantize_weight(weight: Tensor, bits: int) -> Tensor:
    """Return the weight that computes as the quantized one does; with 32 bits, the weight itself."""
    check_bits(bits)
    return weight if bits == OFF else quantize_weight(weight, bits).dequantize().to(weight.dtype)


@dataclass(frozen=True)
class AffineQuantizer:
    """Quantizes the feature map of one tap whose values were seen to lie from ``low`` to ``high``.

    The range is widened to hold zero, and split into 2^bits levels, ``scale`` apart; level ``zero_point`` is
    zero. Inside the range no value moves by more than half a scale, values outside become the nearest end.
    NaN has no level: calling the quantizer hands it on, its symbol is undefined.

    The codecs are given *symbols*, uint8, counted from zero outwards, so that a zero feature is symbol 0
    whatever the zero point: 0, -1, 1, -2, 2, ... levels from zero as long as both signs exist, then on to
    the longer side. A map behind a ReLU has no negative levels, and its symbols are its levels.
    """

    low: float
    high: float
    bits: int

    def __post_init__(self) -> None:
        check_bits(self.bits)
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise ValueError(
                f"`low` and `high` must be finite and in order, but got {self.low} and {self.high}"
            )

    @cached_property
    def scale(self) -> float:
        """Return the distance of two levels, in units of the feature; 1 for a map that is zero throughout."""
        scale = (max(self.high, 0.0) - min(self.low, 0.0)) / self.top
        return scale if scale >= _SMALLEST else 1.0

    @cached_property
    def zero_point(self) -> int:
        """Return the level that is zero, 0 to 2^bits - 1."""
        return round(-min(self.low, 0.0) / self.scale)

    def __call__(self, x: Tensor) -> Tensor:
        """Return the map [...] as it is after being stored and read again; with 32 bits, the map itself."""
        return x if self.bits == OFF else (self._from_zero(x) * self.scale).to(x.dtype)

    def counted(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the map [...] as stored and read again, and how often each symbol occurs in it: int64 [256].

        The same as calling the quantizer and counting :meth:`symbols`, in a third of the time.
        """
        _check_on(self.bits)
        levels = self._from_zero(x).add_(self.zero_point)
        whole = levels.to(torch.uint8)
        counts = torch.bincount(
            whole.as_strided((whole.numel(),), (1,)), minlength=SYMBOLS
        )  # in memory's order
        return levels.sub_(self.zero_point).mul_(self.scale).to(x.dtype), self.histogram(counts)

    def histogram(self, counts: Tensor) -> Tensor:
        """Return how often each symbol occurs, int64 [256], where level l does ``counts`` [256] times."""
        return torch.zeros_like(counts).index_add_(0, self._symbol_of_level.to(counts.device), counts)

    @cached_property
    def _symbol_of_level(self) -> Tensor:
        levels = torch.arange(SYMBOLS, dtype=torch.float64) - self.zero_point
        return self.symbols(levels * self.scale).long()

    def symbols(self, x: Tensor) -> Tensor:
        """Return the symbols of a map [...], uint8 [...]: what the codecs are given."""
        _check_on(self.bits)
        relative = self._from_zero(x)
        if self.zero_point == 0:
            return relative.to(torch.uint8)
        levels = relative.to(torch.int16)
        distance = levels.abs()
        other_side = (distance + (levels >> 15)).clamp_(max=self._both)  # its levels that come before
        return (distance + other_side).to(torch.uint8)

    def dequantize(self, symbols: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return the map [...] that the symbols [...] stand for: exactly what calling the quantizer gives."""
        _check_on(self.bits)
        wide = symbols.to(torch.int16)
        alternating = (wide >> 1) ^ -(wide & 1)
        beyond = (wide - self._both) * (1 if self.zero_point <= self._both else -1)
        relative = torch.where(wide <= 2 * self._both, alternating, beyond)
        return (relative.to(_working(dtype)) * self.scale).to(dtype)

    @property
    def top(self) -> int:
        """Return the highest level."""
        return int(2**self.bits - 1)

    @property
    def _both(self) -> int:
        """Return how many levels exist on either side of zero."""
        return min(self.zero_point, self.top - self.zero_point)

    def _from_zero(self, x: Tensor) -> Tensor:
        """Return how many levels each feature is away from zero: whole numbers in floating point."""
        levels = (x.to(_working(x.dtype)) / self.scale).round_()
        return levels.clamp_(-self.zero_point, self.top - self.zero_point)


def fold_batch_norm(
    conv_weight: Tensor, bn: _BatchNorm, conv_bias: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return weight [C_out, ...] and bias [C_out] that do what the convolution and ``bn`` behind it do.

    In evaluation, y = gamma (conv(x) + conv_bias - mean) / sqrt(var + eps) + beta: the factor of each
    channel goes into its weights, the rest into the bias. Computed in float64, handed back in the dtype of
    the weight; nothing is changed in place. Raises ValueError for a batch norm of other channels or without
    running statistics.
    """
    if bn.num_features != len(conv_weight):
        raise ValueError(
            f"`bn` must have the {len(conv_weight)} output channels of the weight, but got {bn.num_features}"
        )
    if bn.running_mean is None or bn.running_var is None:
        raise ValueError("`bn` must have running statistics, but got track_running_stats=False")
    factor = (bn.running_var.detach().double() + bn.eps).rsqrt()
    if bn.weight is not None:
        factor = factor * bn.weight.detach().double()
    bias = -bn.running_mean.detach().double() * factor
    if conv_bias is not None:
        bias = bias + conv_bias.detach().double() * factor
    if bn.bias is not None:
        bias = bias + bn.bias.detach().double()
    weight = conv_weight.detach().double() * _per_channel(factor, conv_weight)
    return weight.to(conv_weight.dtype), bias.to(conv_weight.dtype)


def _check_on(bits: int) -> None:
    check_bits(bits)
    if bits == OFF:
        raise ValueError("`bits` must be 2 to 8 for symbols, but got 32, which is off")


def _describe(weight: Tensor) -> str:
    if weight.dim() == 0:
        return "a single number"
    return f"{int((~torch.isfinite(weight)).sum())} of {weight.numel()} that are not"


def _per_channel(scale: Tensor, like: Tensor) -> Tensor:
    return scale.view(-1, *[1] * (like.dim() - 1))  # [C_out, 1, ...]


def _working(dtype: torch.dtype) -> torch.dtype:
    """Return what levels are computed in: at least float32, which holds every level exactly."""
    return torch.float64 if dtype == torch.float64 else torch.float32
