"""Ranges of quantizers: how much of a map or a weight channel is clipped so that the rest has finer levels.

``minmax`` clips nothing: one outlier then decides the distance of the levels. ``percentile`` clips the smallest and the
largest 0.1%. ``mse`` minimizes the mean squared error over :data:`FACTORS` of the range (Sung et al., 2015; Choukroun
et al., ICCV workshops 2019).

Shapes: C_out output channels of a weight; n values of a channel, or bins of a histogram; F factors.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trials.feature_maps.histogram import Histogram
from trials.feature_maps.quantization import divided

CLIPPED_SHARE = 0.001
"""Share of the features that ``percentile`` clips at either end."""
FACTORS = np.linspace(0.02, 1.0, 50)
"""Ranges that ``mse`` tries, as shares of the whole range."""


def clipped_range(
    histogram: Histogram, low: float, high: float, bits: int, calibration: str
) -> tuple[float, float]:
    """Return the range of a map's quantizer.

    Args:
        histogram: the features of the map on the calibration images.
        low: the smallest feature.
        high: the largest feature.
        bits: of a feature, 2 to 8.
        calibration: ``minmax``, ``percentile`` or ``mse``.
    """
    if calibration == "minmax":
        return low, high
    if calibration == "percentile":
        inner = (
            max(low, histogram.quantile(CLIPPED_SHARE)),
            min(high, histogram.quantile(1 - CLIPPED_SHARE)),
        )
        return inner if inner[0] < 0 or inner[1] > 0 else (low, high)  # nearly all features are zero
    whole = np.array([min(low, 0.0), max(high, 0.0)])
    if not whole.any():
        return low, high
    best = whole * FACTORS[_errors(histogram, whole * FACTORS[:, None], bits).argmin()]
    for side in (0, 1):  # then each side by itself
        candidates = np.tile(best, (len(FACTORS), 1))
        candidates[:, side] = whole[side] * FACTORS
        best = candidates[_errors(histogram, candidates, bits).argmin()]
    return float(best[0]), float(best[1])


def _errors(histogram: Histogram, ranges: NDArray[np.float64], bits: int) -> NDArray[np.float64]:
    """Return the sum of squared errors of an affine quantizer with each of ``ranges`` [F, 2], [F]."""
    values, counts = histogram.features
    top = 2**bits - 1
    scale = (ranges[:, 1] - ranges[:, 0])[:, None] / top  # [F, 1]
    scale = np.where(scale > 0, scale, 1.0)
    zero_point = np.rint(-ranges[:, :1] / scale)
    levels = np.clip(np.rint(values / scale), -zero_point, top - zero_point)  # [F, n]
    return np.asarray(((levels * scale - values) ** 2) @ counts)


def largest_magnitudes(channels: Tensor, bits: int, calibration: str) -> Tensor:
    """Return the magnitude that becomes the highest level of each channel of a weight [C_out, n]: [C_out]."""
    magnitudes = channels.abs()
    largest = magnitudes.amax(1)
    if calibration == "minmax":
        return largest
    if calibration == "percentile":
        inner = torch.quantile(magnitudes, 1 - CLIPPED_SHARE, dim=1)
        return torch.where(inner > 0, inner, largest)
    top = 2 ** (bits - 1) - 1
    candidates = largest * torch.from_numpy(FACTORS).to(largest)[:, None]  # [F, C_out]
    errors = []
    for clip in candidates:
        scale = divided(torch.where(clip > 0, clip, torch.ones_like(clip)), top)[:, None]
        levels = (channels / scale).round().clamp(-top, top)
        errors.append((levels * scale - channels).square().sum(1))
    best = torch.stack(errors).argmin(0)  # [C_out]
    return candidates.gather(0, best[None])[0]
