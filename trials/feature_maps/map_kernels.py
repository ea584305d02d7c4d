"""Pruning, quantization and counting of a feature map in one pass on the CPU, compiled by numba.

torch needs ten passes over memory for the same; in small networks they dominate the time of a ladder. The import takes
about a second and 120 MB, so this module is imported when the first map is counted.

Shapes: S features of a map; B batch, C channels, P = H W pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trials.device.jit import jit
from trials.feature_maps.quantization import SYMBOLS

PIECE = 2048
"""Features that are quantized before they are counted: their levels fit the first-level cache."""
LARGEST = np.float32(np.finfo(np.float32).max)
ZERO = np.float32(0)


@jit()
def prune_and_quantize(
    x: NDArray[np.float32],
    below: np.float32,
    scale: np.float32,
    zero_point: np.float32,
    top: np.float32,
    out: NDArray[np.float32],
    counts: NDArray[np.int64],
) -> int:
    """Prune and quantize a map, and count its levels; return the number of features that are not finite.

    All arithmetic is float32, as in ``trials.feature_maps.quantization.AffineQuantizer``.

    Args:
        x: the features, [S].
        below: features of at most this magnitude become zero.
        scale: distance of two levels.
        zero_point: the level of zero.
        top: the highest level.
        out: receives the dequantized features, [S].
        counts: the occurrences of each level are added to it, [256].
    """
    levels = np.empty(PIECE, np.int32)
    tables = np.zeros((4, SYMBOLS), np.int64)  # four, so that counting equal levels in a row does not stall
    broken = 0
    for start in range(0, len(x), PIECE):
        size = min(PIECE, len(x) - start)
        piece, made = x[start : start + size], out[start : start + size]
        for i in range(size):
            value = ZERO if abs(piece[i]) <= below else piece[i]
            level = min(max(np.rint(value / scale) + zero_point, ZERO), top)
            levels[i] = np.int32(level)
            made[i] = (level - zero_point) * scale
        for i in range(size):
            broken += not abs(piece[i]) <= LARGEST
        fours = size - size % 4
        for i in range(0, fours, 4):  # "& 255" keeps the undefined level of NaN inside the tables
            tables[0, levels[i] & 255] += 1
            tables[1, levels[i + 1] & 255] += 1
            tables[2, levels[i + 2] & 255] += 1
            tables[3, levels[i + 3] & 255] += 1
        for i in range(fours, size):
            tables[0, levels[i] & 255] += 1
    for level in range(SYMBOLS):
        counts[level] += tables[0, level] + tables[1, level] + tables[2, level] + tables[3, level]
    return broken


@jit(fastmath={"reassoc"})
def prune(x: NDArray[np.float32], below: np.float32, out: NDArray[np.float32]) -> tuple[int, float]:
    """Write ``x`` [S] to ``out`` [S], with features of magnitude up to ``below`` set to zero.

    Returns:
        The number of zeros, and the sum of magnitudes, accumulated in float64.
    """
    zeros, total = 0, 0.0
    for i in range(len(x)):
        value = ZERO if abs(x[i]) <= below else x[i]
        out[i] = value
        zeros += value == ZERO
        total += np.float64(abs(value))
    return zeros, total


@jit(fastmath={"reassoc"})
def count(x: NDArray[np.float32]) -> tuple[int, float]:
    """Return the number of zeros of ``x`` [S], and the sum of magnitudes, accumulated in float64."""
    zeros, total = 0, 0.0
    for i in range(len(x)):
        zeros += x[i] == ZERO
        total += np.float64(abs(x[i]))
    return zeros, total


@jit()
def count_nonzero_channels_last(x: NDArray[np.float32], counts: NDArray[np.int64]) -> None:
    """Add the number of non-zero features of each pixel of ``x`` [B, P, C] to ``counts`` [P]."""
    for b in range(x.shape[0]):
        for p in range(x.shape[1]):
            nonzero = 0
            for c in range(x.shape[2]):
                nonzero += x[b, p, c] != ZERO
            counts[p] += nonzero


@jit()
def count_nonzero_channels_first(x: NDArray[np.float32], counts: NDArray[np.int64]) -> None:
    """Add the number of non-zero features of each pixel of ``x`` [B, C, P] to ``counts`` [P]."""
    for b in range(x.shape[0]):
        for c in range(x.shape[1]):
            for p in range(x.shape[2]):
                counts[p] += x[b, c, p] != ZERO


@jit()
def count_groups_channels_last(x: NDArray[np.float32], counts: NDArray[np.int64]) -> None:
    """Add the numbers of features of each pixel of ``x`` [B, P, C] that must be computed to ``counts`` [4, P].

    The rows are those of ``trials.cost.grains.GRAINS``: non-zero features, those of groups of 4 and of 8 channels that
    are not zero as a whole, and those of channels that are not zero in the whole image.
    """
    images, pixels, channels = x.shape
    full = channels - channels % 8
    middle = min(full + 4, channels)  # of the last group, which is not full
    for b in range(images):
        present = np.zeros(channels, np.int32)
        for p in range(pixels):
            row = x[b, p]
            for c in range(channels):
                present[c] |= np.int32(row[c] != ZERO)
            nonzero = fours = eights = np.int32(0)
            for start in range(0, full, 8):  # constant bounds inside, so that the compiler uses vectors
                left = right = np.int32(0)
                for c in range(4):
                    left += np.int32(row[start + c] != ZERO)
                    right += np.int32(row[start + 4 + c] != ZERO)
                nonzero += left + right
                fours += 4 * (np.int32(left > 0) + np.int32(right > 0))
                eights += 8 * np.int32(left + right > 0)
            left = right = np.int32(0)
            for c in range(full, middle):
                left += np.int32(row[c] != ZERO)
            for c in range(middle, channels):
                right += np.int32(row[c] != ZERO)
            counts[0, p] += nonzero + left + right
            counts[1, p] += fours + (left > 0) * (middle - full) + (right > 0) * (channels - middle)
            counts[2, p] += eights + (left + right > 0) * (channels - full)
        whole = present.sum()
        for p in range(pixels):
            counts[3, p] += whole


@jit()
def count_groups_channels_first(x: NDArray[np.float32], counts: NDArray[np.int64]) -> None:
    """Do the same for ``x`` [B, C, P]."""
    images, channels, pixels = x.shape
    for b in range(images):
        whole = np.int32(0)
        for start in range(0, channels, 8):
            end = min(start + 8, channels)
            in_eight = np.zeros(pixels, np.int32)
            for first in range(start, end, 4):
                size = min(4, end - first)
                in_four = np.zeros(pixels, np.int32)
                for c in range(first, first + size):
                    present = np.int32(0)
                    for p in range(pixels):
                        here = np.int32(x[b, c, p] != ZERO)
                        in_four[p] += here
                        present |= here
                    whole += present
                for p in range(pixels):
                    in_eight[p] += in_four[p]
                    counts[0, p] += in_four[p]
                    counts[1, p] += size * np.int64(in_four[p] > 0)
            for p in range(pixels):
                counts[2, p] += (end - start) * np.int64(in_eight[p] > 0)
        for p in range(pixels):
            counts[3, p] += whole
