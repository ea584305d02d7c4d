"""Integer tensors as unsigned symbols: the sign mapping, and counting the symbols."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

DTYPES = (
    torch.uint8,
    torch.int8,
    torch.uint16,
    torch.int16,
    torch.uint32,
    torch.int32,
    torch.uint64,
    torch.int64,
)
"""Dtypes of symbols. The header of a stream stores the index, so the order is part of the format."""

SIGNED = frozenset({torch.int8, torch.int16, torch.int32, torch.int64})
DENSE = 1 << 16
"""Tensors whose symbols are all below this are counted in an array, others by sorting."""

Integers = NDArray[np.integer]


class Counts(NamedTuple):
    """The symbols that occur.

    Attributes:
        values: the distinct symbols, ascending, [S].
        counts: the number of occurrences of each, at least 1, [S].
    """

    values: NDArray[np.uint64]
    counts: NDArray[np.int64]

    @property
    def total(self) -> int:
        """Number of symbols."""
        return int(self.counts.sum())

    @property
    def largest(self) -> int:
        """The largest symbol; 0 if there are no symbols."""
        return int(self.values[-1]) if len(self.values) else 0

    @property
    def zeros(self) -> int:
        """Number of symbols that are 0."""
        return int(self.counts[0]) if len(self.values) and self.values[0] == 0 else 0


def check_dtype(symbols: Tensor) -> None:
    """Check that the tensor holds signed or unsigned integers of 8 to 64 bits.

    Raises:
        ValueError: another dtype.
    """
    if symbols.dtype not in DTYPES:
        raise ValueError(f"`symbols` must be a tensor of 8 to 64 bit integers, but got {symbols.dtype}")


def histogram(symbols: Tensor) -> Tensor:
    """Return how often each unsigned symbol 0..255 occurs in an 8-bit tensor of any shape: int64 [256].

    The counts stay on the device of the tensor. Counts of several batches can be summed before
    :func:`trials.coding.size_from_histogram`. Signed tensors are counted after the sign mapping.

    Raises:
        ValueError: another dtype.
    """
    if symbols.dtype not in (torch.uint8, torch.int8):
        raise ValueError(f"`symbols` of a histogram must be uint8 or int8, but got {symbols.dtype}")
    flat = symbols.reshape(-1)
    counts = torch.bincount(flat.view(torch.uint8), minlength=256)
    if symbols.dtype == torch.uint8:
        return counts
    unsigned = torch.arange(256, device=symbols.device)
    return counts[((unsigned >> 1) ^ -(unsigned & 1)) & 255]


def count(symbols: Tensor) -> Counts:
    """Return how often each unsigned symbol occurs, for tensors of every integer dtype; computed on their device.

    Raises:
        ValueError: the dtype is not an integer of 8 to 64 bits.
    """
    check_dtype(symbols)
    if symbols.dtype in (torch.uint8, torch.int8):
        return from_dense(histogram(symbols))
    patterns = _bit_patterns(symbols.reshape(-1))
    if not len(patterns):
        return from_dense(patterns)
    smallest, largest = torch.stack(torch.aminmax(patterns)).tolist()
    if smallest >= 0 and largest < DENSE:
        return from_dense(torch.bincount(patterns))
    values, counts = torch.unique(patterns, return_counts=True)
    unsigned = values.cpu().numpy().view(np.uint64)
    order = np.argsort(unsigned)
    return Counts(unsigned[order], counts.cpu().numpy()[order])


def from_dense(counts: Tensor) -> Counts:
    """Convert a histogram [S] of the unsigned symbols 0..S-1: symbols that do not occur are dropped."""
    dense = counts.cpu().numpy()
    values = np.flatnonzero(dense)
    return Counts(values.astype(np.uint64), dense[values].astype(np.int64))


def to_unsigned(symbols: Integers) -> Integers:
    """Map signed integers to unsigned ones of equal width, 0, -1, 1, -2, ... to 0, 1, 2, 3, ...; keep unsigned ones."""
    if symbols.dtype.kind == "u":
        return symbols
    bits = 8 * symbols.itemsize
    return ((symbols << 1) ^ (symbols >> (bits - 1))).view(f"u{symbols.itemsize}")


def from_unsigned(symbols: Integers, signed: bool) -> Integers:
    """Undo :func:`to_unsigned`; ``signed`` is whether the original dtype was."""
    if not signed:
        return symbols
    return ((symbols >> 1) ^ -(symbols & 1)).view(f"i{symbols.itemsize}")


def _bit_patterns(flat: Tensor) -> Tensor:
    """Return the unsigned symbols as int64 bit patterns: those from 2^63 on are negative."""
    if flat.dtype == torch.uint64:
        return flat.view(torch.int64)
    wide = flat.to(torch.int64)
    return (wide << 1) ^ (wide >> 63) if flat.dtype in SIGNED else wide
