"""Bits into words and back, compiled by numba. Imported only where a stream is made or read.

A stream is a sequence of 64-bit words, the first bit of the stream the highest of the first word. Every code
is some zeros, then a value of a known number of bits that starts with a one (fixed length: no zeros, any
value). Writing zeros is moving on, because the words start as zeros; reading them is one count of leading
zeros.

All arithmetic is unsigned: numba makes a float of a signed and an unsigned 64-bit integer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

from trials.device.jit import jit

U = np.uint64
EXPONENTIAL_GOLOMB, SPARSE_EXPONENTIAL_GOLOMB, GOLOMB_RICE, FIXED_LENGTH, PACKED = (
    U(0),
    U(1),
    U(2),
    U(3),
    U(4),
)
"""The codes; packed, for writing only, is fixed length in which a zero takes no bit."""
FAILED = U(2**64 - 1)
"""Returned in place of a position by :func:`unpack` for a stream that is none."""

_ZERO, _ONE, _TWO, _SIX = U(0), U(1), U(2), U(6)
_63, _64, _65 = U(63), U(64), U(65)


@intrinsic  # type: ignore[untyped-decorator]
def _leading_zeros(_context: Any, value: Any) -> Any:
    """Return the number of leading zeros of a 64-bit word; 64 for zero."""

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), generate


@jit()
def _codeword(x: Any, codec: Any, k: Any) -> Any:
    """Return how many zeros, which value (its low 64 bits) and how many bits of value, 0 to 65, encode x."""
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
    value = x + offset  # EGk(x) is the binary of x + 2^k after (its length - 1 - k) zeros
    bits = _65 if value < offset else _64 - _leading_zeros(value)
    return bits - _ONE - k + extra, value, bits


@jit()
def pack(symbols: Any, codec: Any, k: Any, words: Any, position: Any) -> Any:
    """Write unsigned symbols [S] from a bit position on, over zeros; return the position behind them."""
    for i in range(len(symbols)):
        zeros, value, bits = _codeword(U(symbols[i]), codec, k)
        position += zeros
        if bits == _65:
            words[position >> _SIX] |= _ONE << (_63 - (position & _63))
            position += _ONE
            bits = _64
        word = position >> _SIX
        shift = position & _63
        aligned = value << ((_64 - bits) & _63)  # no bits: the value is zero
        words[word] |= aligned >> shift
        words[word + _ONE] = (aligned << _ONE) << (_63 - shift)  # no branch: codes end anywhere
        position += bits
    return position


@jit()
def pack_bytes(symbols: Any, codec: Any, k: Any, words: Any, position: Any) -> Any:
    """Do what :func:`pack` does for symbols of 8 bits, uint8 [S]: each code is made once, then looked up."""
    codes = np.zeros(256, np.uint64)  # each from the highest bit on
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
def _window(words: Any, position: Any) -> Any:
    """Return the 64 bits from a position on."""
    word = position >> _SIX
    shift = position & _63
    return (words[word] << shift) | ((words[word + _ONE] >> _ONE) >> (_63 - shift))


@jit()
def _unpack_long(words: Any, position: Any, end: Any, codec: Any, k: Any) -> Any:
    """Return the symbol whose code is longer than one window, and the position behind it."""
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
    symbol = value - offset  # with 65 bits, 2^64 + value - 2^k: wraps around to the symbol
    if codec == SPARSE_EXPONENTIAL_GOLOMB:
        symbol += _ONE
    if long and symbol < value:
        return _ZERO, FAILED
    return symbol, position + bits


@jit()
def unpack(words: Any, position: Any, end: Any, codec: Any, k: Any, largest: Any, symbols: Any) -> Any:
    """Read symbols [S] from a bit position on; return the position behind them, or FAILED.

    The words reach one word beyond the one of bit ``end``. It fails where a code goes beyond ``end`` or a
    symbol is above ``largest``, whatever the words hold.
    """
    offset = _ONE << (k & _63)
    for i in range(len(symbols)):
        if position >= end:
            return FAILED
        window = _window(words, position)
        zeros = _leading_zeros(window)
        if codec == FIXED_LENGTH:
            used = k
            x = window >> (_64 - k)
        elif codec == GOLOMB_RICE:
            used = zeros + k + _ONE
            if used <= _64:
                x = (zeros << k) | ((window >> (_64 - used)) - offset)
        elif codec == SPARSE_EXPONENTIAL_GOLOMB:
            used = zeros * _TWO + k if zeros != _ZERO else _ONE
            if used <= _64:
                x = (window >> (_64 - used)) - offset + _ONE
                x = x if zeros != _ZERO else _ZERO
        else:
            used = zeros * _TWO + k + _ONE
            if used <= _64:
                x = (window >> (_64 - used)) - offset
        if used <= _64:
            position += used
        else:
            x, position = _unpack_long(words, position, end, codec, k)
        if position > end or x > largest:
            return FAILED
        symbols[i] = x
    return position
