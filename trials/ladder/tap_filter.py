"""What inference does to one feature map, and what is counted there: pruned, quantized, its zeros and symbols."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trials.config import Rung
from trials.device.memory_order import in_memory_order
from trials.feature_maps.quantization import OFF, SYMBOLS, AffineQuantizer
from trials.feature_maps.regularization import tap_sums


@dataclass(frozen=True)
class Range:
    """What one tap was seen to hold on the calibration images."""

    low: float
    high: float
    mean_magnitude: float


@dataclass
class TapCount:
    """What was counted at one tap.

    Attributes:
        quantizer: how the map is stored.
        sums: zeros, sum of magnitudes, elements, [3] float64; of a quantized map only a number that is not finite if
            one of its features was not, [1].
        histogram: of the symbols, [256]; empty where nothing is quantized.
    """

    quantizer: AffineQuantizer
    sums: Tensor
    histogram: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))

    def __add__(self, other: TapCount) -> TapCount:
        return TapCount(self.quantizer, self.sums + other.sums, self.histogram + other.histogram)

    @property
    def finite(self) -> bool:
        """Say whether every feature was finite."""
        return bool(torch.isfinite(self.sums).all())

    def totals(self) -> tuple[float, float, float]:
        """Return zeros, sum of magnitudes and elements."""
        if self.quantizer.bits == OFF:
            zeros, magnitude, elements = self.sums.tolist()
            return zeros, magnitude, elements
        counts = self.histogram.double().cpu()
        values = self.quantizer.dequantize(torch.arange(SYMBOLS, dtype=torch.uint8), torch.float64)
        return float(counts[0]), float((counts * values.abs()).sum()), float(counts.sum())


@dataclass(frozen=True)
class TapFilter:
    """What inference does to one tap: set small features to zero, then quantize."""

    threshold: float
    quantizer: AffineQuantizer

    @staticmethod
    def of(rung: Rung, seen: Range) -> TapFilter:
        """Return the filter of a tap at a rung; ``relative`` thresholds are times the tap's mean magnitude."""
        threshold = rung.threshold * (seen.mean_magnitude if rung.threshold_mode == "relative" else 1.0)
        return TapFilter(threshold, AffineQuantizer(seen.low, seen.high, rung.feature_map_bits))

    def __call__(self, x: Tensor) -> Tensor:
        return self.quantizer(self.pruned(x))

    def pruned(self, x: Tensor) -> Tensor:
        """Return ``x`` with every feature whose magnitude is below the threshold set to zero."""
        if not self.threshold:
            return x
        if x.dtype not in (torch.float32, torch.float64):
            return torch.where(x.abs() < self.threshold, torch.zeros_like(x), x)
        return F.hardshrink(x, self._below(np.float64 if x.dtype == torch.float64 else np.float32))

    def counted(self, x: Tensor) -> tuple[Tensor, TapCount]:
        """Return what calling the filter does, bit for bit, and what was counted in it.

        float32 maps on the CPU are looked at once; nothing but a threshold or a precision makes a copy.
        """
        features = in_memory_order(x)
        return self._counted_by_torch(x) if features is None else self._counted_at_once(x, features)

    def _below(self, kind: Any) -> float:
        """Return the largest magnitude that is pruned: what is larger is not less than the threshold."""
        return float(np.nextafter(kind(self.threshold), kind(0)))

    def _counted_by_torch(self, x: Tensor) -> tuple[Tensor, TapCount]:
        x = self.pruned(x)
        if self.quantizer.bits == OFF:
            return x, TapCount(self.quantizer, tap_sums(x))
        whole = x.sum().double()[None]  # NaN has no symbol, but it stays in the sum
        x, histogram = self.quantizer.counted(x)
        return x, TapCount(self.quantizer, whole, histogram)

    def _counted_at_once(self, x: Tensor, features: Any) -> tuple[Tensor, TapCount]:
        from trials.feature_maps import map_kernels

        quantizer, below = self.quantizer, np.float32(self._below(np.float32))
        if quantizer.bits == OFF:
            if self.threshold:
                out = torch.empty_like(x)
                zeros, magnitude = map_kernels.prune(features, below, in_memory_order(out))
            else:
                out, (zeros, magnitude) = x, map_kernels.count(features)
            sums = torch.tensor([zeros, magnitude, x.numel()], dtype=torch.float64)
            return out, TapCount(quantizer, sums)
        out, counts = torch.empty_like(x), np.zeros(SYMBOLS, np.int64)
        scale, zero_point, top = map(np.float32, (quantizer.scale, quantizer.zero_point, quantizer.top))
        broken = map_kernels.prune_and_quantize(
            features, below, scale, zero_point, top, in_memory_order(out), counts
        )
        whole = torch.tensor([math.nan if broken else 0.0], dtype=torch.float64)
        return out, TapCount(quantizer, whole, quantizer.histogram(torch.from_numpy(counts)))
