"""Histograms of the features of a map, with one bin for every bfloat16 number.

A bin is the upper half of the bits of a float32: sign, exponent and seven bits of the mantissa. So all bins have about
the same relative width, at most 1/128, from the smallest to the largest feature. Histograms of batches add up, need no
range beforehand, and tell exactly how many features lie below any edge of a bin.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trials.feature_maps.quantization import count_values

BINS = 0x7F80
"""Bins of each sign: bfloat16 numbers from zero on, without infinity."""
EDGES: NDArray[np.float64] = (np.arange(BINS + 1, dtype=np.uint32) << 16).view(np.float32).astype(np.float64)
"""Magnitudes that bound the bins, [BINS + 1]; the last is infinity. Each is a bfloat16 number."""
_PATTERNS = 2**16


def count_patterns(x: Tensor) -> Tensor:
    """Return how often each upper half of the bits of a float32 occurs in ``x`` [...]: int64 [65536]."""
    bits = x.detach().to(torch.float32).contiguous().view(torch.int32).flatten()
    return count_values((bits >> 16) & (_PATTERNS - 1), _PATTERNS)


@dataclass(frozen=True)
class Histogram:
    """Numbers of features by bin.

    Attributes:
        positive: features that are zero or positive, int64 [BINS], by magnitude.
        negative: the others.
    """

    positive: NDArray[np.int64]
    negative: NDArray[np.int64]

    @classmethod
    def of(cls, patterns: Tensor) -> Histogram:
        """Return the histogram of finite features, from the sum of their :func:`count_patterns`."""
        counts = patterns.cpu().numpy()
        return cls(counts[:BINS], counts[_PATTERNS // 2 :][:BINS])

    @cached_property
    def share_below(self) -> NDArray[np.float64]:
        """The share of features with a magnitude below each edge, [BINS + 1]; exact."""
        counts = np.cumsum(self.positive + self.negative)
        return np.concatenate([[0.0], counts / max(counts[-1], 1)])

    @cached_property
    def features(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The centres of all bins that are not empty, in ascending order, and their numbers of features; both [n]."""
        centres = np.concatenate([[0.0], (EDGES[1:-2] + EDGES[2:-1]) / 2, EDGES[-2:-1]])
        values, counts = (
            np.concatenate(pair) for pair in ((-centres[::-1], centres), (self.negative[::-1], self.positive))
        )
        kept = counts > 0
        return values[kept], counts[kept].astype(np.float64)

    def quantile(self, share: float) -> float:
        """Return the value below which a ``share`` of the features lies, up to the width of a bin."""
        values, counts = self.features
        return float(
            values[np.searchsorted(np.cumsum(counts), share * counts.sum()).clip(0, len(values) - 1)]
        )

    def threshold_of(self, share: float) -> float:
        """Return the edge below whose magnitude the share of features is nearest to ``share``.

        It is 0 where zeros alone are as many.
        """
        if self.share_below[1] >= share:
            return 0.0
        return float(EDGES[:-1][np.abs(self.share_below[:-1] - share).argmin()])
