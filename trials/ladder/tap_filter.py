"""Pruning and quantization of the feature map at one tap, and counting its zeros and symbols.

Shapes: ``...`` any shape of a map.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from trials.config import Rung
from trials.device.memory_order import in_memory_order
from trials.feature_maps.clipping import clipped_range
from trials.feature_maps.histogram import Histogram
from trials.feature_maps.quantization import OFF, SYMBOLS, AffineQuantizer, count_values
from trials.feature_maps.regularization import tap_sums


@dataclass(frozen=True)
class Range:
    """Range, mean magnitude and histogram of one tap's map on the calibration images."""

    low: float
    high: float
    mean_magnitude: float
    histogram: Histogram
    _clipped: dict[tuple[int, str], tuple[float, float]] = field(default_factory=dict, repr=False)

    def quantizer(self, bits: int, calibration: str) -> AffineQuantizer:
        """Return the quantizer of the map at ``bits`` bits, 32 for off."""
        if bits == OFF:
            return AffineQuantizer(self.low, self.high, bits)
        if (bits, calibration) not in self._clipped:
            self._clipped[bits, calibration] = clipped_range(
                self.histogram, self.low, self.high, bits, calibration
            )
        return AffineQuantizer(*self._clipped[bits, calibration], bits)


@dataclass
class TapCount:
    """Counts of one tap over several batches; counts of batches are added with ``+``. They are read on the CPU.

    Attributes:
        quantizer: the quantizer of the map.
        sums: without quantization: zeros, sum of magnitudes and elements, float64 [3]. With quantization: float64 [1],
            not finite if any feature was not.
        histogram: histogram of the symbols, int64 [256]; empty without quantization.
    """

    quantizer: AffineQuantizer
    sums: Tensor
    histogram: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))

    def __add__(self, other: TapCount) -> TapCount:
        return TapCount(self.quantizer, self.sums + other.sums, self.histogram + other.histogram)

    @property
    def finite(self) -> bool:
        """Whether every feature was finite."""
        return bool(torch.isfinite(self.sums).all())

    def totals(self) -> tuple[float, float, float]:
        """Return the number of zeros, the sum of magnitudes and the number of features."""
        if self.quantizer.bits == OFF:
            zeros, magnitude, elements = self.sums.tolist()
            return zeros, magnitude, elements
        counts = self.histogram.double()
        values = self.quantizer.dequantize(torch.arange(SYMBOLS, dtype=torch.uint8), torch.float64)
        return float(counts[0]), float((counts * values.abs()).sum()), float(counts.sum())


@dataclass(frozen=True)
class TapFilter:
    """Prunes and quantizes the map of one tap at inference.

    Attributes:
        threshold: features with a smaller magnitude become zero.
        quantizer: applied after pruning.
    """

    threshold: float
    quantizer: AffineQuantizer

    @staticmethod
    def of(
        rung: Rung, calibrated: Range, bits: int | None = None, threshold: float | None = None
    ) -> TapFilter:
        """Return the filter of a tap at a rung; ``relative`` thresholds are multiples of the tap's mean magnitude.

        ``bits`` and ``threshold`` are those of the tap, if they do not follow from the rung alone.
        """
        if threshold is None:
            relative = rung.threshold_mode == "relative"
            threshold = rung.threshold * (calibrated.mean_magnitude if relative else 1.0)
        return TapFilter(threshold, calibrated.quantizer(bits or rung.feature_map_bits, rung.calibration))

    def __call__(self, x: Tensor) -> Tensor:
        """Return the map ``x`` [...] pruned and quantized."""
        return self.quantizer(self.prune(x))

    def prune(self, x: Tensor) -> Tensor:
        """Return the map ``x`` [...] with features of a magnitude below the threshold set to zero."""
        if not self.threshold:
            return x
        if x.dtype not in (torch.float32, torch.float64):
            return torch.where(x.abs() < self.threshold, torch.zeros_like(x), x)
        dtype = np.float64 if x.dtype == torch.float64 else np.float32
        return F.hardshrink(x, self._largest_pruned(dtype))

    def apply(self, x: Tensor) -> Tensor:
        """Return the result of calling the filter, bit for bit; float32 maps on the CPU take a single pass."""
        if not self.threshold and self.quantizer.bits == OFF:
            return x
        features = in_memory_order(x)
        return self(x) if features is None else self._single_pass(x, features)[0]

    def apply_and_count(self, x: Tensor) -> tuple[Tensor, TapCount]:
        """Return the result of calling the filter, bit for bit, and the counts of that map.

        float32 maps on the CPU take a single pass over memory. The map is copied only if it is pruned or quantized.
        """
        features = in_memory_order(x)
        return self._torch_operations(x) if features is None else self._single_pass(x, features)

    def apply_and_count_by_image(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the result of calling the filter on ``x`` [B, ...], and the counts of each image.

        The counts are the histograms of the symbols, int64 [B, 256]; without quantization the non-zero features, [B].
        """
        if self.quantizer.bits == OFF:
            x = self.apply(x)
            return x, (x != 0).sum(tuple(range(1, x.dim())))
        features = in_memory_order(x)
        if features is None:
            x = self(x)
            symbols = self.quantizer.symbols(x).flatten(1).long()
            first = SYMBOLS * torch.arange(len(x), device=x.device)[:, None]
            counts_of_images = count_values((symbols + first).flatten(), SYMBOLS * len(x))
            return x, counts_of_images.view(-1, SYMBOLS)
        out, counts = torch.empty_like(x), np.zeros((len(x), SYMBOLS), np.int64)
        rows = (features.reshape(len(x), -1), _features(out).reshape(len(x), -1), counts)
        for image, image_out, image_counts in zip(*rows, strict=True):  # images are contiguous in memory
            self._quantize(image, image_out, image_counts)
        return out, self.quantizer.histogram(torch.from_numpy(counts))

    def _largest_pruned(self, dtype: type[np.float32] | type[np.float64]) -> float:
        """Return the largest magnitude that is pruned: the largest number of ``dtype`` below the threshold, or 0."""
        return float(np.nextafter(dtype(self.threshold), dtype(0)))

    def _torch_operations(self, x: Tensor) -> tuple[Tensor, TapCount]:
        x = self.prune(x)
        if self.quantizer.bits == OFF:
            return x, TapCount(self.quantizer, tap_sums(x))
        total = x.sum().double()[None]  # NaN has no symbol, but makes the sum NaN
        x, histogram = self.quantizer.quantize_and_count(x)
        return x, TapCount(self.quantizer, total, histogram)

    def _single_pass(self, x: Tensor, features: NDArray[np.float32]) -> tuple[Tensor, TapCount]:
        from trials.feature_maps import map_kernels

        quantizer = self.quantizer
        if quantizer.bits == OFF:
            if self.threshold:
                out, below = torch.empty_like(x), np.float32(self._largest_pruned(np.float32))
                zeros, magnitude = map_kernels.prune(features, below, _features(out))
            else:
                out, (zeros, magnitude) = x, map_kernels.count(features)
            sums = torch.tensor([zeros, magnitude, x.numel()], dtype=torch.float64)
            return out, TapCount(quantizer, sums)
        out, counts = torch.empty_like(x), np.zeros(SYMBOLS, np.int64)
        not_finite = self._quantize(features, _features(out), counts)
        sums = torch.tensor([math.nan if not_finite else 0.0], dtype=torch.float64)
        return out, TapCount(quantizer, sums, quantizer.histogram(torch.from_numpy(counts)))

    def _quantize(
        self, features: NDArray[np.float32], out: NDArray[np.float32], counts: NDArray[np.int64]
    ) -> int:
        """Write the pruned and quantized features [S] to ``out`` [S], add the levels to ``counts`` [256]."""
        from trials.feature_maps import map_kernels

        quantizer, below = self.quantizer, np.float32(self._largest_pruned(np.float32))
        scale, zero_point, top = map(np.float32, (quantizer.scale, quantizer.zero_point, quantizer.top))
        return map_kernels.prune_and_quantize(features, below, scale, zero_point, top, out, counts)


def _features(x: Tensor) -> NDArray[np.float32]:
    features = in_memory_order(x)
    assert features is not None
    return features
