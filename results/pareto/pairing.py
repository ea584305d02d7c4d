"""Comparison of two networks image by image, on the same test images.

Two accuracies of a thousand images differ by chance by one or two points. But two networks agree on most images, and
only those on which they disagree tell them apart: McNemar's test asks whether they are split evenly between the two.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def compare(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> pd.Series:
    """Compare which images two networks classify correctly, [N] each, in the same order.

    - ``images``: N; ``both``, ``only_a``, ``only_b``, ``neither``: how many of them were classified correctly by whom;
    - ``difference``: accuracy of ``a`` minus accuracy of ``b``;
    - ``p_value``: McNemar's exact test, two-sided: the probability of a split at least as uneven as that of ``only_a``
      and ``only_b``, if each such image had fallen to either network with probability 1/2.

    (McNemar: Note on the sampling error of the difference between correlated proportions or percentages, 1947.)

    >>> a, b = np.array([1, 1, 1, 1, 1, 1, 0], bool), np.array([0, 0, 0, 0, 0, 1, 0], bool)
    >>> compare(a, b)["p_value"]
    0.0625
    """
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    values = {
        "images": len(a),
        "both": int((a & b).sum()),
        "only_a": only_a,
        "only_b": only_b,
        "neither": int((~a & ~b).sum()),
        "difference": (only_a - only_b) / len(a),
        "p_value": sign_test(only_a, only_b),
    }
    return pd.Series(values, dtype=object)


def sign_test(one: int, other: int) -> float:
    """Return the two-sided p-value of ``one`` and ``other`` successes of two equally likely outcomes, exactly.

    >>> sign_test(0, 0), sign_test(3, 3), sign_test(10, 0)
    (1.0, 1.0, 0.001953125)
    """
    total, fewer = one + other, min(one, other)
    tail = sum(math.comb(total, count) for count in range(fewer + 1))
    return min(1.0, 2 * tail / 2**total)


def mask_of(bits: bytes, images: int) -> NDArray[np.bool_]:
    """Return the column ``correct`` of a point as a mask of its test images, [N].

    >>> mask_of(bytes([0b10100000]), 3).tolist()
    [True, False, True]
    """
    return np.unpackbits(np.frombuffer(bits, dtype=np.uint8), count=images).astype(bool)
