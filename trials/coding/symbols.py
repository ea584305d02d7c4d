"""Integer tensors as unsigned symbols: the sign mapping and the counting of symbols."""

from __future__ import annotations

from typing import Any, NamedTuple

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
"""Dtypes of symbols. A stream's header holds the position: the order is part of the format."""

SIGNED = frozenset({torch.int8, torch.int16, torch.int32, torch.int64})
DENSE = 1 << 16
"""Symbols below this are counted in an array, others by sorting."""


class Counts(NamedTuple):
    """Which symbols occur, ascending and each with a count above 0. Both [S]."""

    values: NDArray[np.uint64]
    counts: NDArray[np.int64]

    @property
    def total(self) -> int:
        """Return the number of symbols."""
        return int(self.counts.sum())

    @property
    def largest(self) -> int:
        """Return the largest symbol; 0 where there is none."""
        return int(self.values[-1]) if len(self.values) else 0

    @property
    def zeros(self) -> int:
        """Return how many symbols are 0."""
        return int(self.counts[0]) if len(self.values) and self.values[0] == 0 else 0


def check_dtype(symbols: Tensor) -> None:
    """Raise ValueError unless the tensor holds symbols: 8 to 64 bit integers, signed or not."""
    if symbols.dtype not in DTYPES:
        raise ValueError(f"`symbols` must be a tensor of 8 to 64 bit integers, but got {symbols.dtype}")


def histogram(symbols: Tensor) -> Tensor:
    """Return how often each unsigned symbol 0..255 occurs in an 8-bit tensor of any shape.

    The counts, int64 [256], stay on the tensor's device; counts of several batches may be added up before
    :func:`trials.coding.size_from_histogram`. A signed tensor is counted after the sign mapping.
    Raises ValueError for other dtypes.
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
    """Return how often each unsigned symbol occurs, for every dtype; the work is done on the device."""
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
    """Return a histogram, [S] counts of the unsigned symbols 0..S-1, without symbols that do not occur."""
    dense = counts.cpu().numpy()
    values = np.flatnonzero(dense)
    return Counts(values.astype(np.uint64), dense[values].astype(np.int64))


def to_unsigned(symbols: NDArray[Any]) -> NDArray[Any]:
    """Map a signed array to unsigned of its width: 0, -1, 1, -2, ... to 0, 1, 2, 3, ...; unsigned:as is."""
    if symbols.dtype.kind == "u":
        return symbols
    bits = 8 * symbols.itemsize
    return ((symbols << 1) ^ (symbols >> (bits - 1))).view(f"u{symbols.itemsize}")


def from_unsigned(symbols: NDArray[Any], signed: bool) -> NDArray[Any]:
    """Undo :func:`to_unsigned`."""
    if not signed:
        return symbols
    return ((symbols >> 1) ^ -(symbols & 1)).view(f"i{symbols.itemsize}")


def _bit_patterns(flat: Tensor) -> Tensor:
    """Return the unsigned symbols of a wide tensor as int64; those from 2^63 on have the sign bit set."""
    if flat.dtype == torch.uint64:
        return flat.view(torch.int64)
    wide = flat.to(torch.int64)
    return (wide << 1) ^ (wide >> 63) if flat.dtype in SIGNED else wide
