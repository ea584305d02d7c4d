"""The header of a stream, validated before anything is allocated.

A stream consists of:

    magic "SSWC" | version u8 | codec u8 | k u8 | dtype u8 | dimensions u8 | code bits u64 | sizes, u64 each
    the code, padded with zero bits to whole bytes
    CRC-32 of everything before, u32

Integers of the header are little-endian. ``codec`` is the index in ``CODECS``, or their number for ``best``, whose code
starts with the index of the chosen codec in 3 bits.
"""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass

import torch

from shrinksweep import ShrinksweepError
from trials.coding.sizes import BEST, CODECS
from trials.coding.symbols import DTYPES

MAGIC = b"SSWC"
VERSION = 1
_FIXED = struct.Struct("<4sBBBBBQ")
_CHECKSUM = struct.Struct("<I")
_NAMES = (*CODECS, BEST)


class CodingError(ShrinksweepError, ValueError):
    """A stream that is invalid or damaged, or a code that would be too long."""


@dataclass(frozen=True)
class Header:
    """The header of a stream.

    Attributes:
        codec: one of ``CODECS``, or ``best``.
        k: parameter of the codec; of the chosen one for ``best``.
        dtype: dtype of the tensor.
        shape: shape of the tensor.
        code_bits: length of the code, as returned by ``size_in_bits``.
    """

    codec: str
    k: int
    dtype: torch.dtype
    shape: tuple[int, ...]
    code_bits: int

    @property
    def symbols(self) -> int:
        """Number of symbols."""
        return math.prod(self.shape)

    def seal(self, code: bytes) -> bytes:
        """Return the stream: this header, the code and the checksum of both."""
        codec, dtype, dimensions = _NAMES.index(self.codec), DTYPES.index(self.dtype), len(self.shape)
        fixed = _FIXED.pack(MAGIC, VERSION, codec, self.k, dtype, dimensions, self.code_bits)
        head = fixed + struct.pack(f"<{dimensions}Q", *self.shape)
        return b"".join((head, code, _CHECKSUM.pack(zlib.crc32(code, zlib.crc32(head)))))


def read_header(data: bytes | bytearray | memoryview) -> Header:
    """Return the header of a stream.

    Raises:
        CodingError: the stream is incomplete or damaged, or its header is inconsistent.
    """
    return open_stream(data)[0]


def open_stream(data: bytes | bytearray | memoryview) -> tuple[Header, memoryview]:
    """Return the header and the code, without a copy, after checking length, checksum and fields.

    Raises:
        CodingError: the stream is incomplete or damaged, or its header is inconsistent.
    """
    view = memoryview(data).cast("B")
    minimum = _FIXED.size + _CHECKSUM.size
    if len(view) < minimum:
        raise CodingError(f"a stream must have at least {minimum} bytes, but got {len(view)}")
    magic, version, codec, k, dtype, dimensions, code_bits = _FIXED.unpack_from(view)
    if magic != MAGIC or version != VERSION:
        raise CodingError(
            f"a stream must start with {MAGIC!r}, version {VERSION}, but got {magic!r}, {version}"
        )
    start = _FIXED.size + 8 * dimensions
    length = start + (code_bits + 7) // 8 + _CHECKSUM.size
    if len(view) != length:
        raise CodingError(f"the stream must have {length} bytes by its header, but got {len(view)}")
    (checksum,) = _CHECKSUM.unpack_from(view, length - _CHECKSUM.size)
    computed = zlib.crc32(view[: -_CHECKSUM.size])
    if computed != checksum:
        raise CodingError(f"the checksum must be {checksum:08x}, but got {computed:08x}")
    if codec >= len(_NAMES) or dtype >= len(DTYPES):
        raise CodingError(f"codec and dtype must be known, but got numbers {codec} and {dtype}")
    shape = struct.unpack_from(f"<{dimensions}Q", view, _FIXED.size)
    header = Header(_NAMES[codec], k, DTYPES[dtype], shape, code_bits)
    if header.symbols > code_bits:
        raise CodingError(f"a symbol must take at least one bit, but got sizes {shape} in {code_bits} bits")
    return header, view[start : -_CHECKSUM.size]
