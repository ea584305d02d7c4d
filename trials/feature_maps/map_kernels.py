"""One pass over a feature map on the CPU: prune it, quantize it and count, compiled by numba.

torch takes ten passes for the same, each through memory: on small networks they are most of what a ladder takes.
Imported where the first map is counted, in a training or a ladder: once a process, about a second and 120 MB.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from trials.device.jit import jit
from trials.feature_maps.quantization import SYMBOLS

PIECE = 2048
"""Features whose levels are made before they are counted: they stay in the nearest cache."""
LARGEST = np.float32(np.finfo(np.float32).max)
ZERO = np.float32(0)


@jit()
def prune_and_quantize(
    x: Any, below: Any, scale: Any, zero_point: Any, top: Any, out: Any, counts: Any
) -> int:
    """Set features of magnitude up to ``below`` to zero, quantize, and count each level in ``counts``; return how
    many features are not finite.

    ``x``, ``out`` [S] float32; ``counts`` [256] int64 is added to; numbers are float32, as
    ``trials.feature_maps.quantization.AffineQuantizer`` has them, and so is every step of the arithmetic.
    """
    levels = np.empty(PIECE, np.int32)
    tables = np.zeros((4, SYMBOLS), np.int64)  # four, as equal levels in a row would wait for each other
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
        for i in range(0, fours, 4):  # "& 255": what stands for NaN stays inside the tables
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
def prune(x: Any, below: Any, out: Any) -> tuple[int, float]:
    """Set features of magnitude up to ``below`` to zero; return the zeros, and the sum of magnitudes in float64.

    ``x``, ``out`` [S] float32.
    """
    zeros, total = 0, 0.0
    for i in range(len(x)):
        value = ZERO if abs(x[i]) <= below else x[i]
        out[i] = value
        zeros += value == ZERO
        total += np.float64(abs(value))
    return zeros, total


@jit(fastmath={"reassoc"})
def count(x: Any) -> tuple[int, float]:
    """Return the zeros of ``x`` [S] float32, and the sum of magnitudes in float64."""
    zeros, total = 0, 0.0
    for i in range(len(x)):
        zeros += x[i] == ZERO
        total += np.float64(abs(x[i]))
    return zeros, total


@jit()
def present_channels_last(x: Any, counts: Any) -> None:
    """Add to ``counts`` [P] int64 how many features of each pixel are not zero; ``x``: [B, P, C] float32."""
    for b in range(x.shape[0]):
        for p in range(x.shape[1]):
            seen = 0
            for c in range(x.shape[2]):
                seen += x[b, p, c] != ZERO
            counts[p] += seen


@jit()
def present_channels_first(x: Any, counts: Any) -> None:
    """Add to ``counts`` [P] int64 how many features of each pixel are not zero; ``x``: [B, C, P] float32."""
    for b in range(x.shape[0]):
        for c in range(x.shape[1]):
            for p in range(x.shape[2]):
                counts[p] += x[b, c, p] != ZERO
