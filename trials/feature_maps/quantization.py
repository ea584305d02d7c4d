"""Post-training quantization: weights symmetrically per output channel, feature maps affinely per tap.

Bits are 2 to 8; 32 turns quantization off. Zero is represented exactly: a weight of zero is level 0, and the zero point
of a feature map is an integer level, so that pruned features remain zeros, which the codecs store in few bits.
:func:`fold_batch_norm` folds a batch norm into the convolution before it, the form in which weights are quantized.

Shapes: C_out output channels of a weight; ``...`` any shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

OFF = 32
"""Number of bits that means no quantization."""
SYMBOLS = 256
"""Number of symbols of 8 bits."""
_SMALLEST_SCALE = torch.finfo(torch.float32).tiny
"""Smallest normal float32. Maps that would need a smaller scale are quantized to zero."""


Largest = Callable[[Tensor], Tensor]
"""Returns the magnitude that becomes the highest level of each channel: [C_out, n] -> [C_out]."""


def largest_of(channels: Tensor) -> Tensor:
    """Return the largest magnitude of each channel: [C_out, n] -> [C_out]."""
    return channels.abs().amax(1)


def check_bits(bits: int) -> None:
    """Check that ``bits`` is 2 to 8, or 32 for off.

    Raises:
        ValueError: another value.
    """
    is_integer = isinstance(bits, int) and not isinstance(bits, bool)
    if not is_integer or not (2 <= bits <= 8 or bits == OFF):
        raise ValueError(f"`bits` must be 2 to 8, or 32 for off, but got {bits!r}")


@dataclass(frozen=True)
class QuantizedTensor:
    """A quantized weight.

    Attributes:
        symbols: integer levels, int8 [C_out, ...].
        scale: distance of two levels, by output channel, [C_out].
    """

    symbols: Tensor
    scale: Tensor

    def dequantize(self) -> Tensor:
        """Return the weight ``scale * symbols``, [C_out, ...], in the dtype of the scale."""
        return self.symbols.to(self.scale.dtype) * _per_channel(self.scale, self.symbols)


def quantize_weight(weight: Tensor, bits: int, largest: Largest = largest_of) -> QuantizedTensor:
    """Quantize a weight [C_out, ...] symmetrically, with one scale per output channel.

    Levels are -(2^(bits-1) - 1) to 2^(bits-1) - 1. The magnitude that ``largest`` returns for a channel [C_out, n]
    becomes the highest level, and larger ones are clipped to it; no other weight changes by more than half a scale. A
    channel of zeros has scale 1.

    Raises:
        ValueError: ``bits`` is not 2 to 8, or the weight is not finite or a scalar.
    """
    _check_on(bits)
    if weight.dim() == 0 or not torch.isfinite(weight).all():
        raise ValueError(f"`weight` must be finite, [C_out, ...], but got {_describe(weight)}")
    top = 2 ** (bits - 1) - 1
    weight = weight.detach().to(_compute_dtype(weight.dtype))
    channels = weight.reshape(len(weight), -1) if weight.numel() else weight.new_zeros(len(weight), 1)
    scale = divided(largest(channels), top)  # [C_out]
    scale = torch.where(scale >= _SMALLEST_SCALE, scale, torch.ones_like(scale))
    levels = (weight / _per_channel(scale, weight)).round().clamp(-top, top)
    return QuantizedTensor(levels.to(torch.int8), scale)


def fake_quantize_weight(weight: Tensor, bits: int) -> Tensor:
    """Return ``weight`` [C_out, ...] quantized and dequantized, in its own dtype; with 32 bits, the weight itself.

    Raises:
        ValueError: ``bits`` is not 2 to 8 or 32, or the weight is not finite.
    """
    check_bits(bits)
    return weight if bits == OFF else quantize_weight(weight, bits).dequantize().to(weight.dtype)


@dataclass(frozen=True)
class AffineQuantizer:
    """Affine quantizer of the feature map of one tap.

    The calibrated range is extended to contain zero and divided into 2^bits levels with distance ``scale``:
    x ~ scale (level - zero_point), so level ``zero_point`` is exactly zero. Values inside the range change by at most
    half a scale; values outside are clipped. Calling the quantizer passes NaN through; the symbol of NaN is undefined.

    The codecs encode *symbols*, uint8, which number the levels by their distance from zero: the levels relative to the
    zero point are ordered 0, -1, 1, -2, 2, ... as long as both signs exist, then on along the longer side. So a zero
    feature is symbol 0 for every zero point. The output of a ReLU has no negative levels: its symbols are its levels.

    Attributes:
        low: smallest value of the map on the calibration images.
        high: largest value of the map on the calibration images.
        bits: 2 to 8, or 32 for off.

    Raises:
        ValueError: ``bits`` has another value, or ``low`` and ``high`` are not finite and in order.
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
        """Distance of two levels, in units of the feature; 1 for a map of zeros."""
        scale = (max(self.high, 0.0) - min(self.low, 0.0)) / self.top
        return scale if scale >= _SMALLEST_SCALE else 1.0

    @cached_property
    def zero_point(self) -> int:
        """The level of zero, 0 to 2^bits - 1."""
        return round(-min(self.low, 0.0) / self.scale)

    def __call__(self, x: Tensor) -> Tensor:
        """Return the map ``x`` [...] quantized and dequantized; with 32 bits, the map itself."""
        return x if self.bits == OFF else (self._relative_levels(x) * self.scale).to(x.dtype)

    def quantize_and_count(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the map ``x`` [...] quantized and dequantized, and the histogram of its symbols, int64 [256].

        Equals calling the quantizer and counting :meth:`symbols`, in a third of the time.

        Raises:
            ValueError: quantization is off.
        """
        _check_on(self.bits)
        levels = self._relative_levels(x).add_(self.zero_point)
        integers = levels.to(torch.uint8)
        flat = integers.as_strided((integers.numel(),), (1,))  # in memory order: avoids a copy
        counts = count_values(flat, SYMBOLS)
        return levels.sub_(self.zero_point).mul_(self.scale).to(x.dtype), self.histogram(counts)

    def histogram(self, counts: Tensor) -> Tensor:
        """Return the histogram of the symbols, int64 [..., 256], given ``counts`` [..., 256] of the levels."""
        return torch.zeros_like(counts).index_add_(-1, self._symbol_of_level(counts.device), counts)

    def _symbol_of_level(self, device: torch.device) -> Tensor:
        """Return the symbol of every level, int64 [256]. The table is made on ``device``, once."""
        if device not in self._tables:
            levels = torch.arange(SYMBOLS, dtype=torch.float64, device=device) - self.zero_point
            self._tables[device] = self.symbols(levels * self.scale).long()
        return self._tables[device]

    @cached_property
    def _tables(self) -> dict[torch.device, Tensor]:
        return {}

    def symbols(self, x: Tensor) -> Tensor:
        """Return the symbols of a map ``x`` [...], uint8 [...].

        Raises:
            ValueError: quantization is off.
        """
        _check_on(self.bits)
        relative = self._relative_levels(x)
        if self.zero_point == 0:
            return relative.to(torch.uint8)
        levels = relative.to(torch.int16)
        distance = levels.abs()
        opposite = (distance + (levels >> 15)).clamp_(max=self._paired)  # smaller levels of the other sign
        return (distance + opposite).to(torch.uint8)

    def dequantize(self, symbols: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return the map [...] of ``symbols`` [...]: exactly the result of calling the quantizer.

        Raises:
            ValueError: quantization is off.
        """
        _check_on(self.bits)
        wide = symbols.to(torch.int16)
        alternating = (wide >> 1) ^ -(wide & 1)
        one_sided = (wide - self._paired) * (1 if self.zero_point <= self._paired else -1)
        relative = torch.where(wide <= 2 * self._paired, alternating, one_sided)
        return (relative.to(_compute_dtype(dtype)) * self.scale).to(dtype)

    @property
    def top(self) -> int:
        """The highest level."""
        return int(2**self.bits - 1)

    @property
    def _paired(self) -> int:
        """Number of levels that exist on both sides of zero."""
        return min(self.zero_point, self.top - self.zero_point)

    def _relative_levels(self, x: Tensor) -> Tensor:
        """Return the level of each feature minus the zero point: integers in floating point."""
        levels = divided(x.to(_compute_dtype(x.dtype)), self.scale).round_()
        return levels.clamp_(-self.zero_point, self.top - self.zero_point)


def divided(x: Tensor, divisor: float) -> Tensor:
    """Return ``x`` divided by ``divisor``, correctly rounded on every device.

    By a number of Python, CUDA does not divide: it multiplies by the reciprocal, and a last digit can be another level.
    """
    return x / (x.new_full((), divisor) if x.is_cuda else divisor)


def count_values(values: Tensor, size: int) -> Tensor:
    """Return how often each of 0 to ``size`` - 1 occurs in the integers ``values`` [n]: int64 [size].

    On a GPU, ``torch.bincount`` would wait for the largest value. Sums of integers do not depend on their order.
    """
    return count_without_waiting(values, size) if values.is_cuda else torch.bincount(values, minlength=size)


def count_without_waiting(values: Tensor, size: int) -> Tensor:
    """Return the counts of :func:`count_values` with operations that read nothing back from a GPU."""
    ones = torch.ones((), dtype=torch.int64, device=values.device).expand(len(values))
    return torch.zeros(size, dtype=torch.int64, device=values.device).scatter_add_(0, values.long(), ones)


def fold_batch_norm(
    conv_weight: Tensor, bn: _BatchNorm, conv_bias: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return weight [C_out, ...] and bias [C_out] of one layer that replaces a layer and the batch norm after it.

    In evaluation mode, y = gamma (conv(x) + conv_bias - mean) / sqrt(var + eps) + beta. The factor of each channel is
    folded into its weights, the rest into the bias. Computed in float64, returned in the dtype of the weight; nothing
    is modified in place.

    Raises:
        ValueError: the batch norm has another number of channels, or no running statistics.
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


def _compute_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype in which levels are computed: at least float32, which represents every level exactly."""
    return torch.float64 if dtype == torch.float64 else torch.float32
