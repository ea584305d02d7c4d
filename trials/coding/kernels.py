"""Writing and reading bits, compiled by numba. Imported only when a stream is encoded or decoded.

A code is an array of 64-bit words; its first bit is the highest bit of the first word. Every codeword is a number of
zeros, followed by a value of known length that starts with a one (fixed length: no zeros, any value). Writing zeros
only advances the position, because the words are initialized to zero. Reading them is one count of leading zeros.

All arithmetic is unsigned: numba converts mixed signed and unsigned 64-bit integers to floats.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from trials.coding.symbols import Integers
from trials.device.jit import jit

U = np.uint64
EXPONENTIAL_GOLOMB, SPARSE_EXPONENTIAL_GOLOMB, GOLOMB_RICE, FIXED_LENGTH, PACKED = (
    U(0),
    U(1),
    U(2),
    U(3),
    U(4),
)
"""The codes. ``PACKED``, for writing only, is fixed length without the symbols that are zero."""
FAILED = U(2**64 - 1)
"""Returned by :func:`unpack` instead of a position if the code is invalid."""

_ZERO, _ONE, _TWO, _SIX = U(0), U(1), U(2), U(6)
_63, _64, _65 = U(63), U(64), U(65)


@intrinsic  # type: ignore[untyped-decorator]
def _leading_zeros(_context: object, value: object) -> tuple[object, Callable[..., ir.Value]]:
    """Return the number of leading zeros of a 64-bit word; 64 for zero."""

    def generate(
        _target: object, builder: ir.IRBuilder, _signature: object, arguments: Sequence[ir.Value]
    ) -> ir.Value:
        return builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), generate


@jit()
def _codeword(x: U, codec: U, k: U) -> tuple[U, U, U]:
    """Return the codeword of x: number of zeros, value (its low 64 bits), length of the value (0 to 65 bits)."""
    offset = _ONE << k
    if codec == FIXED_LENGTH:
        return _ZERO, x, k
    if codec == PACKED:
        return _ZERO, x, k if x != _ZERO else _ZERO
    if codec == GOLOMB_RICE:
        return x >> k, offset | (x & (offset - _ONE)), k + _ONE
    extra = _ZERO
    if codec == SPARSE_EXPONENTIAL_GOLOMB:
        if x == _ZERO:
            return _ZERO, _ONE, _ONE
        x -= _ONE
        extra = _ONE
    value = x + offset  # EGk(x) is the binary form of x + 2^k after (its length - 1 - k) zeros
    bits = _65 if value < offset else _64 - _leading_zeros(value)
    return bits - _ONE - k + extra, value, bits


@jit()
def pack(symbols: Integers, codec: U, k: U, words: NDArray[np.uint64], position: U) -> U:
    """Write unsigned symbols [S] from a bit position on; return the position after them.

    The words must be zero from that position on.
    """
    for i in range(len(symbols)):
        zeros, value, bits = _codeword(U(symbols[i]), codec, k)
        position += zeros
        if bits == _65:
            words[position >> _SIX] |= _ONE << (_63 - (position & _63))
            position += _ONE
            bits = _64
        word = position >> _SIX
        shift = position & _63
        aligned = value << ((_64 - bits) & _63)  # with 0 bits, the value is zero
        words[word] |= aligned >> shift
        words[word + _ONE] = (aligned << _ONE) << (_63 - shift)  # two shifts, as one by 64 bits is undefined
        position += bits
    return position


@jit()
def pack_bytes(symbols: Integers, codec: U, k: U, words: NDArray[np.uint64], position: U) -> U:
    """Do the same as :func:`pack` for uint8 symbols [S], with a lookup table of the 256 codewords."""
    codes = np.zeros(256, np.uint64)  # left-aligned
    lengths = np.zeros(256, np.uint64)
    for x in range(256):
        zeros, value, bits = _codeword(U(x), codec, k)
        lengths[x] = zeros + bits
        if lengths[x] > _64:
            return pack(symbols, codec, k, words, position)
        codes[x] = value << ((_64 - lengths[x]) & _63)
    for i in range(len(symbols)):
        code = codes[symbols[i]]
        word = position >> _SIX
        shift = position & _63
        words[word] |= code >> shift
        words[word + _ONE] = (code << _ONE) << (_63 - shift)
        position += lengths[symbols[i]]
    return position


@jit()
def _window(words: NDArray[np.uint64], position: U) -> U:
    """Return the 64 bits from a bit position on."""
    word = position >> _SIX
    shift = position & _63
    return (words[word] << shift) | ((words[word + _ONE] >> _ONE) >> (_63 - shift))


@jit()
def _unpack_long(words: NDArray[np.uint64], position: U, end: U, codec: U, k: U) -> tuple[U, U]:
    """Return a symbol whose codeword is longer than one window, and the position after it or :data:`FAILED`."""
    zeros = _ZERO
    while True:
        if position >= end:
            return _ZERO, FAILED
        window = _window(words, position)
        leading = _leading_zeros(window)
        zeros += leading
        position += leading
        if window != _ZERO:
            break
    bits = zeros + k + _ONE
    if codec == GOLOMB_RICE:
        bits = k + _ONE
        if zeros > FAILED >> k:
            return _ZERO, FAILED
    elif codec == SPARSE_EXPONENTIAL_GOLOMB:
        bits -= _ONE
    if bits > _65 or position + bits > end:
        return _ZERO, FAILED
    long = bits == _65
    if long:  # the highest bit of the value is the one that ended the zeros
        position += _ONE
        bits = _64
    value = _window(words, position) >> (_64 - bits)
    offset = _ONE << k
    if codec == GOLOMB_RICE:
        return (zeros << k) | (value - offset), position + bits
    symbol = value - offset  # with 65 bits, 2^64 + value - 2^k: overflows to the symbol
    if codec == SPARSE_EXPONENTIAL_GOLOMB:
        symbol += _ONE
    if long and symbol < value:
        return _ZERO, FAILED
    return symbol, position + bits


@jit()
def unpack(
    words: NDArray[np.uint64], position: U, end: U, codec: U, k: U, largest: U, symbols: Integers
) -> U:
    """Read unsigned ``symbols`` [S], in place, from a bit position on; return the position after them.

    The words must extend one word beyond that of bit ``end``. Returns :data:`FAILED` if a codeword extends beyond
    ``end`` or a symbol is larger than ``largest``. No content of the words leads to an access out of bounds.
    """
    offset = _ONE << (k & _63)
    for i in range(len(symbols)):
        if position >= end:
            return FAILED
        window = _window(words, position)
        zeros = _leading_zeros(window)
        if codec == FIXED_LENGTH:
            length = k
            x = window >> (_64 - k)
        elif codec == GOLOMB_RICE:
            length = zeros + k + _ONE
            if length <= _64:
                x = (zeros << k) | ((window >> (_64 - length)) - offset)
        elif codec == SPARSE_EXPONENTIAL_GOLOMB:
            length = zeros * _TWO + k if zeros != _ZERO else _ONE
            if length <= _64:
                x = (window >> (_64 - length)) - offset + _ONE
                x = x if zeros != _ZERO else _ZERO
        else:
            length = zeros * _TWO + k + _ONE
            if length <= _64:
                x = (window >> (_64 - length)) - offset
        if length <= _64:
            position += length
        else:
            x, position = _unpack_long(words, position, end, codec, k)
        if position > end or x > largest:
            return FAILED
        symbols[i] = x
    return position
