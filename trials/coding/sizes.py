"""How many bits a code takes, from the counts of its symbols: exact, and no bit stream is made."""

from __future__ import annotations

import difflib
import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trials.coding.symbols import Counts, count, from_dense

CODECS = (
    "exponential_golomb",
    "sparse_exponential_golomb",
    "golomb_rice",
    "zero_value",
    "fixed_length",
)
"""The codecs. The order is part of the stream format, and the first of two equal sizes is the best."""
BEST = "best"
"""Names the smallest codec of a tensor, in place of a codec."""
CHOICE_BITS = 3
"""What ``best`` pays for saying which of the five codecs it is."""

WIDTHS = ("zero_value", "fixed_length")
_TABLE_KS = 9
_TABLE_SYMBOLS = 256


class Choice(NamedTuple):
    """A codec, its parameter k, and the bits of the code (what ``best`` pays for the choice not included)."""

    codec: str
    k: int
    bits: int


def size_in_bits(symbols: Tensor, codec: str, k: int | None = None) -> int:
    """Return the bits of the code of an integer tensor of any shape; ``k=None``: at the best k.

    The symbols are counted on the tensor's device; only the counts leave it. Raises ValueError for an unknown
    codec, a k that the codec does not have, a width that the largest symbol does not fit, and other dtypes.
    """
    _check(codec, k)
    return _size(count(symbols), codec, k)


def size_from_histogram(counts: Tensor, codec: str, k: int | None = None) -> int:
    """Return the bits of the code of symbols of which ``counts`` [S] says how often each of 0..S-1 occurs.

    The same as :func:`size_in_bits` of the symbols, signed ones counted after the sign mapping (as
    :func:`trials.coding.histogram` does). Raises ValueError as it does, and for counts that are no counts.
    """
    _check(codec, k)
    return _size(_checked_counts(counts), codec, k)


def best_k(symbols: Tensor, codec: str) -> int:
    """Return the k with the smallest code; of equal sizes the smallest k. Raises ValueError for ``best``."""
    _check(codec, None)
    if codec == BEST:
        raise ValueError("`codec` of best_k must be one codec, but got 'best'; best_codec tells codec and k")
    return _best(count(symbols), codec).k


def best_codec(symbols: Tensor) -> Choice:
    """Return the codec with the smallest code, its k, and the bits of that code (the choice not included)."""
    return choose(count(symbols), BEST, None)


def entropy_in_bits(symbols: Tensor) -> float:
    """Return the Shannon entropy of the symbols times their number: the floor of codes of single symbols."""
    return _entropy(count(symbols))


def entropy_from_histogram(counts: Tensor) -> float:
    """Return :func:`entropy_in_bits` of symbols of which ``counts`` [S] says how often each occurs."""
    return _entropy(_checked_counts(counts))


def choose(counts: Counts, codec: str, k: int | None) -> Choice:
    """Return what encodes these symbols: the codec or, for ``best``, the smallest; k as given or the best.

    Raises ValueError for an unknown codec, and a k that it does not have or that the largest symbol does not fit.
    """
    _check(codec, k)
    if codec == BEST:
        return min((_best(counts, c) for c in CODECS), key=lambda choice: choice.bits)
    if k is None:
        return _best(counts, codec)
    if codec in WIDTHS and counts.largest >> k:
        raise ValueError(
            f"`k` must be wide enough for the largest symbol, {counts.largest}, but got {k} bits"
        )
    return Choice(codec, k, _bits(counts, codec, k))


def k_range(codec: str) -> tuple[int, int]:
    """Return the smallest and the largest k of a codec."""
    return (1, 64) if codec in WIDTHS else (0, 63)


def _size(counts: Counts, codec: str, k: int | None) -> int:
    return choose(counts, codec, k).bits + (CHOICE_BITS if codec == BEST else 0)


def _best(counts: Counts, codec: str) -> Choice:
    width = counts.largest.bit_length()
    if codec in WIDTHS:
        k = max(width, 1)
        return Choice(codec, k, _bits(counts, codec, k))
    if counts.largest < _TABLE_SYMBOLS:
        sizes = (_length_table(codec)[: width + 1, counts.values.astype(np.intp)] @ counts.counts).tolist()
    else:
        # From k = width on every symbol takes k + 1 bits and more: a larger k is never smaller.
        sizes = [_bits(counts, codec, k) for k in range(min(width, 63) + 1)]
    k = sizes.index(min(sizes))
    return Choice(codec, k, sizes[k])


def _bits(counts: Counts, codec: str, k: int) -> int:
    """Return the exact size; Python integers, because a Golomb-Rice code may take more than 2^64 bits."""
    if codec == "fixed_length":
        return counts.total * k
    if codec == "zero_value":
        return counts.total + (counts.total - counts.zeros) * k
    if codec == "golomb_rice":
        return _weighted_sum(counts.values >> np.uint64(k), counts.counts) + counts.total * (1 + k)
    return _weighted_sum(_lengths(counts.values, codec, k), counts.counts)


def _lengths(values: NDArray[np.uint64], codec: str, k: int) -> NDArray[np.uint64]:
    """Return the bits of each symbol's code; Golomb-Rice wraps around for symbols close to 2^64."""
    shift = np.uint64(k)
    if codec == "golomb_rice":
        return (values >> shift) + np.uint64(1 + k)
    if codec == "exponential_golomb" or k == 0:
        return 2 * _log2_of_next(values >> shift) + np.uint64(1 + k)
    behind = values - (values > 0).astype(np.uint64)  # x - 1, and 0 for zero, whose code has no such part
    return np.where(values > 0, 2 * _log2_of_next(behind >> shift) + np.uint64(2 + k), np.uint64(1))


def _log2_of_next(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return floor(log2(x + 1)), exact for every 64-bit x."""
    following = values + np.uint64(1)  # 0 for the largest x, whose logarithm is 64
    high = (following >> np.uint64(32)).astype(np.float64)  # 32 bits: exact in a float64, unlike 64
    low = (following & np.uint64(0xFFFFFFFF)).astype(np.float64)
    length = np.where(high > 0, np.frexp(high)[1] + 32, np.frexp(low)[1])
    return np.where(following == 0, 64, length - 1).astype(np.uint64)


def _weighted_sum(values: NDArray[np.uint64], counts: NDArray[np.int64]) -> int:
    """Return the exact sum of values x counts, 16 bits of the values at a time (fewer than 2^47 symbols)."""
    parts = (
        ((values >> np.uint64(s)) & np.uint64(0xFFFF)).astype(np.int64) @ counts for s in (0, 16, 32, 48)
    )
    return sum(int(part) << (16 * i) for i, part in enumerate(parts))


@lru_cache
def _length_table(codec: str) -> NDArray[np.int64]:
    """Return the bits of every 8-bit symbol at every k that may be its best: [k, symbol]."""
    values = np.arange(_TABLE_SYMBOLS, dtype=np.uint64)
    return np.stack([_lengths(values, codec, k) for k in range(_TABLE_KS)]).astype(np.int64)


def _entropy(counts: Counts) -> float:
    occurrences = counts.counts.astype(np.float64)
    total = float(counts.total)
    return math.fsum(occurrences * np.log2(total / occurrences)) if total else 0.0


def _checked_counts(counts: Tensor) -> Counts:
    if counts.dim() != 1 or counts.is_floating_point() or counts.is_complex() or counts.dtype == torch.bool:
        raise ValueError(f"`counts` must be integers [S], but got {counts.dtype} {list(counts.shape)}")
    found = from_dense(counts.to(torch.int64))
    if (found.counts < 0).any():
        raise ValueError(f"`counts` must not be negative, but got {found.counts.min()}")
    return found


def _check(codec: str, k: int | None) -> None:
    if codec not in (*CODECS, BEST):
        near = difflib.get_close_matches(str(codec), (*CODECS, BEST), n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ValueError(f"`codec` must be one of {', '.join((*CODECS, BEST))}, but got {codec!r}{hint}")
    if k is None:
        return
    if codec == BEST:
        raise ValueError(f"`k` must be None for the codec 'best', but got {k!r}")
    low, high = k_range(codec)
    if not isinstance(k, int) or isinstance(k, bool) or not low <= k <= high:
        raise ValueError(f"`k` of {codec} must be {low} to {high}, but got {k!r}")
