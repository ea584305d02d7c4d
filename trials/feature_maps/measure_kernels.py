"""Measures of a feature map and their gradients on the CPU, each in one pass over memory, compiled by numba.

torch needs up to five passes for the same; in small networks they take as long as half of a training step.

Shapes: B images, n features of an image, all in memory order.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trials.device.jit import jit

ONE, TWO = np.float32(1), np.float32(2)


@jit(fastmath={"reassoc", "nsz"})
def sums_of_images(
    x: NDArray[np.float32], magnitude: NDArray[np.float32], square: NDArray[np.float32]
) -> None:
    """Write the sums of |x| and of x^2 of each image of ``x`` [B, n] to ``magnitude`` [B] and ``square`` [B]."""
    for b in range(x.shape[0]):
        m, s = np.float32(0), np.float32(0)
        row = x[b]
        for i in range(len(row)):
            m += abs(row[i])
            s += row[i] * row[i]
        magnitude[b], square[b] = m, s


@jit()
def add_hoyer_gradient(
    gradient: NDArray[np.float32],
    x: NDArray[np.float32],
    of_sign: NDArray[np.float32],
    of_value: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Write gradient + of_sign[b] sign(x) + of_value[b] x to ``out``; all maps are [B, n]."""
    for b in range(x.shape[0]):
        g, row, made, up, slope = gradient[b], x[b], out[b], of_sign[b], of_value[b]
        for i in range(len(row)):
            value = row[i]
            made[i] = g[i] + slope * value + up * (np.float32(value > 0) - np.float32(value < 0))


@jit(fastmath={"reassoc", "nsz"})
def transformed_l1_sum(x: NDArray[np.float32]) -> float:
    """Return the sum of 2 |x| / (1 + |x|) over ``x`` [S]."""
    total = 0.0
    for start in range(0, len(x), 4096):
        piece = np.float32(0)
        for i in range(start, min(start + 4096, len(x))):
            piece += TWO * abs(x[i]) / (ONE + abs(x[i]))
        total += float(piece)
    return total


@jit()
def add_transformed_l1_gradient(
    gradient: NDArray[np.float32], x: NDArray[np.float32], of_mean: np.float32, out: NDArray[np.float32]
) -> None:
    """Write gradient + of_mean 2 sign(x) / (1 + |x|)^2 to ``out``; all are [S]."""
    for i in range(len(x)):
        value = x[i]
        one = ONE + abs(value)
        made = TWO * of_mean / (one * one)
        out[i] = gradient[i] + made * (np.float32(value > 0) - np.float32(value < 0))
