"""Exact code lengths, computed from the counts of the symbols; no stream is encoded."""

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
"""The codecs. Their order is part of the stream format, and breaks ties between equal sizes."""
BEST = "best"
"""In place of a codec: the codec with the smallest code."""
CHOICE_BITS = 3
"""Bits with which ``best`` identifies the chosen codec."""

WIDTHS = ("zero_value", "fixed_length")
"""Codecs whose k is the number of bits of a symbol."""
_TABLE_KS = 9
_TABLE_SYMBOLS = 256


class Choice(NamedTuple):
    """A codec, its parameter k, and the bits of its code without the :data:`CHOICE_BITS` of ``best``."""

    codec: str
    k: int
    bits: int


def size_in_bits(symbols: Tensor, codec: str, k: int | None = None) -> int:
    """Return the exact code length of an integer tensor of any shape, in bits; ``k=None`` uses the best k.

    The symbols are counted on the device of the tensor; only the counts are copied to the CPU.

    Raises:
        ValueError: the codec is unknown, it does not support this k, the largest symbol does not fit into k bits, or
            the dtype is not an integer of 8 to 64 bits.
    """
    _check(codec, k)
    return _size(count(symbols), codec, k)


def size_from_histogram(counts: Tensor, codec: str, k: int | None = None) -> int:
    """Return the code length in bits of symbols of which x occurs ``counts[x]`` times; ``counts`` is [S].

    Equals :func:`size_in_bits` of the symbols, if signed symbols are counted after the sign mapping, as
    :func:`trials.coding.histogram` does.

    Raises:
        ValueError: as :func:`size_in_bits`; also if ``counts`` is not a vector of integers of at least 0.
    """
    _check(codec, k)
    return _size(_checked_counts(counts), codec, k)


def sizes_from_histograms(counts: NDArray[np.int64], codec: str) -> NDArray[np.int64]:
    """Return :func:`size_from_histogram` of each row of ``counts`` [B, 256], symbols of 8 bits, all at once: [B].

    Raises:
        ValueError: the codec is unknown.
    """
    _check(codec, None)
    sizes = np.stack([_row_sizes(counts, one) for one in (CODECS if codec == BEST else (codec,))])
    best: NDArray[np.int64] = sizes.min(0) + (CHOICE_BITS if codec == BEST else 0)
    return best


def _row_sizes(counts: NDArray[np.int64], codec: str) -> NDArray[np.int64]:
    if codec not in WIDTHS:  # no k above the width of the largest symbol gives a smaller code
        lengths = counts.astype(np.float64) @ _length_table(codec).T.astype(np.float64)  # exact: below 2^53
        return lengths.min(1).astype(np.int64)
    total = counts.sum(1)
    largest = _TABLE_SYMBOLS - 1 - np.argmax(counts[:, ::-1] > 0, axis=1)
    largest = np.where(total > 0, largest, 0)
    width = np.maximum(np.frexp(largest.astype(np.float64))[1], 1)  # bits of the largest symbol
    return total * width if codec == "fixed_length" else total + (total - counts[:, 0]) * width


def best_k(symbols: Tensor, codec: str) -> int:
    """Return the k with the smallest code; the smallest such k if several are equal.

    Raises:
        ValueError: the codec is unknown or ``best``, or the dtype is not an integer of 8 to 64 bits.
    """
    _check(codec, None)
    if codec == BEST:
        raise ValueError(
            "`codec` of best_k must be one codec, but got 'best'; best_codec returns codec and k"
        )
    return _best(count(symbols), codec).k


def best_codec(symbols: Tensor) -> Choice:
    """Return the codec with the smallest code, its k, and the bits of that code without :data:`CHOICE_BITS`."""
    return choose(count(symbols), BEST, None)


def entropy_in_bits(symbols: Tensor) -> float:
    """Return the Shannon entropy of the symbols times their number: a lower bound of every symbol-by-symbol code."""
    return _entropy(count(symbols))


def entropy_from_histogram(counts: Tensor) -> float:
    """Return :func:`entropy_in_bits` of symbols of which x occurs ``counts[x]`` times; ``counts`` is [S].

    Raises:
        ValueError: ``counts`` is not a vector of integers of at least 0.
    """
    return _entropy(_checked_counts(counts))


def choose(counts: Counts, codec: str, k: int | None) -> Choice:
    """Return codec and k for these symbols: ``best`` selects the smallest codec, ``k=None`` the best k.

    Raises:
        ValueError: the codec is unknown, it does not support this k, or the largest symbol does not fit into k bits.
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
    """Return the smallest and the largest k that a codec supports."""
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
        # From k = width on, every symbol takes at least k + 1 bits: no larger k gives a smaller code.
        sizes = [_bits(counts, codec, k) for k in range(min(width, 63) + 1)]
    k = sizes.index(min(sizes))
    return Choice(codec, k, sizes[k])


def _bits(counts: Counts, codec: str, k: int) -> int:
    """Return the exact code length, a Python integer: a Golomb-Rice code may take more than 2^64 bits."""
    if codec == "fixed_length":
        return counts.total * k
    if codec == "zero_value":
        return counts.total + (counts.total - counts.zeros) * k
    if codec == "golomb_rice":
        return _weighted_sum(counts.values >> np.uint64(k), counts.counts) + counts.total * (1 + k)
    return _weighted_sum(_lengths(counts.values, codec, k), counts.counts)


def _lengths(values: NDArray[np.uint64], codec: str, k: int) -> NDArray[np.uint64]:
    """Return the code length of each symbol; Golomb-Rice overflows for symbols close to 2^64."""
    shift = np.uint64(k)
    if codec == "golomb_rice":
        return (values >> shift) + np.uint64(1 + k)
    if codec == "exponential_golomb" or k == 0:
        return 2 * _log2_of_next(values >> shift) + np.uint64(1 + k)
    predecessors = values - (values > 0).astype(np.uint64)  # x - 1; unused for x = 0
    return np.where(values > 0, 2 * _log2_of_next(predecessors >> shift) + np.uint64(2 + k), np.uint64(1))


def _log2_of_next(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return floor(log2(x + 1)), exact for every 64-bit x."""
    successors = values + np.uint64(1)  # overflows to 0 for the largest x, whose logarithm is 64
    high = (successors >> np.uint64(32)).astype(np.float64)  # float64 holds 32 bits exactly, but not 64
    low = (successors & np.uint64(0xFFFFFFFF)).astype(np.float64)
    length = np.where(high > 0, np.frexp(high)[1] + 32, np.frexp(low)[1])
    return np.where(successors == 0, 64, length - 1).astype(np.uint64)


def _weighted_sum(values: NDArray[np.uint64], counts: NDArray[np.int64]) -> int:
    """Return the exact sum of values x counts, for fewer than 2^47 symbols: 16 bits of the values at a time."""
    parts = (
        ((values >> np.uint64(s)) & np.uint64(0xFFFF)).astype(np.int64) @ counts for s in (0, 16, 32, 48)
    )
    return sum(int(part) << (16 * i) for i, part in enumerate(parts))


@lru_cache
def _length_table(codec: str) -> NDArray[np.int64]:
    """Return the code length of every 8-bit symbol at every k that can be the best: [k, symbol]."""
    values = np.arange(_TABLE_SYMBOLS, dtype=np.uint64)
    return np.stack([_lengths(values, codec, k) for k in range(_TABLE_KS)]).astype(np.int64)


def _entropy(counts: Counts) -> float:
    occurrences = counts.counts.astype(np.float64)
    total = float(counts.total)
    return math.fsum(occurrences * np.log2(total / occurrences)) if total else 0.0


def _checked_counts(counts: Tensor) -> Counts:
    if counts.dim() != 1 or counts.is_floating_point() or counts.is_complex() or counts.dtype == torch.bool:
        raise ValueError(f"`counts` must be integers [S], but got {counts.dtype} {list(counts.shape)}")
    checked = from_dense(counts.to(torch.int64))
    if (checked.counts < 0).any():
        raise ValueError(f"`counts` must not be negative, but got {checked.counts.min()}")
    return checked


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
