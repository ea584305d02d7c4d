"""Streams: lossless encoding of integer tensors to bytes, and checked decoding."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trials.coding import symbols as sym
from trials.coding.header import CodingError, Header, open_stream
from trials.coding.sizes import BEST, CHOICE_BITS, CODECS, Choice, choose, k_range
from trials.coding.symbols import Integers

_MINIMAL_LIMIT = 1 << 30
_CHOICES = np.unpackbits(np.arange(len(CODECS), dtype=np.uint8)[:, None], axis=1)[:, -CHOICE_BITS:]


def encode(symbols: Tensor, codec: str, k: int | None = None) -> bytes:
    """Return the stream of an integer tensor (8 to 64 bits) of any shape on any device; ``k=None`` uses the best k.

    Raises:
        ValueError: as ``size_in_bits``.
        CodingError: the code would take more than 128 MiB and more than 16 times the memory of the tensor, as
            Golomb-Rice codes of large symbols with a small k do.
    """
    choice = choose(sym.count(symbols), codec, k)
    prefix = _CHOICES[CODECS.index(choice.codec)] if codec == BEST else _CHOICES[0, :0]
    bits = choice.bits + len(prefix)
    limit = max(_MINIMAL_LIMIT, 16 * 8 * symbols.numel() * symbols.element_size())
    if bits > limit:
        raise CodingError(
            f"a code must take at most {limit} bits, but got {bits} ({choice.codec}, k={choice.k})"
        )
    flat = sym.to_unsigned(symbols.detach().cpu().reshape(-1).contiguous().numpy())
    header = Header(codec, choice.k, symbols.dtype, tuple(symbols.shape), bits)
    return header.seal(_pack(flat, choice, prefix, bits))


def decode(data: bytes | bytearray | memoryview) -> Tensor:
    """Return the tensor of a stream, on the CPU.

    Memory is proportional to the stream, at most 8 symbols per byte, whatever sizes the header claims.

    Raises:
        CodingError: the data is not a complete, undamaged stream.
    """
    header, code = open_stream(data)
    words = _words(np.frombuffer(code, np.uint8))
    codec, start = header.codec, 0
    if codec == BEST:
        start = CHOICE_BITS
        number = int(words[0] >> np.uint64(64 - start))
        if header.code_bits < start or number >= len(CODECS):
            raise CodingError(f"the choice of a codec must be 0 to {len(CODECS) - 1}, but got {number}")
        codec = CODECS[number]
    low, high = k_range(codec)
    if not low <= header.k <= high:
        raise CodingError(f"k of {codec} must be {low} to {high}, but got {header.k}")
    if codec == "zero_value":
        flat = _unpack_masked(words, start, header)
    else:
        flat = _unpack(words, start, header, codec, header.symbols)
    try:
        return torch.from_numpy(sym.from_unsigned(flat, header.dtype in sym.SIGNED)).reshape(header.shape)
    except (RuntimeError, TypeError):
        raise CodingError(f"the sizes must be those of a tensor, but got {header.shape}") from None


def _pack(flat: Integers, choice: Choice, prefix: NDArray[np.uint8], bits: int) -> bytes:
    """Return the code: the bits of ``prefix``, the mask in the case of ``zero_value``, and the code of each symbol."""
    from trials.coding import kernels

    if choice.codec == "zero_value":
        prefix = np.concatenate((prefix, (flat != 0).view(np.uint8)))
    words = np.zeros(bits // 64 + 3, np.uint64)
    start = _words(np.packbits(prefix))
    words[: len(start)] = start
    codec = kernels.PACKED if choice.codec == "zero_value" else _kernel_codec(choice.codec, choice.k)
    pack = kernels.pack_bytes if flat.itemsize == 1 else kernels.pack
    position = pack(flat, codec, np.uint64(choice.k), words, np.uint64(len(prefix)))
    assert int(position) == bits, f"{choice} wrote {position} bits"
    return words.astype(">u8").tobytes()[: (bits + 7) // 8]


def _unpack_masked(words: NDArray[np.uint64], start: int, header: Header) -> Integers:
    """Return the unsigned symbols of a ``zero_value`` code whose mask starts at bit ``start``."""
    mask_end = start + header.symbols
    if mask_end > header.code_bits:
        raise CodingError(f"the mask must end by bit {header.code_bits}, but got {mask_end}")
    code = words[: mask_end // 64 + 1].astype(">u8").view(np.uint8)
    mask = np.unpackbits(code, count=mask_end)[start:].view(np.bool_)
    packed = _unpack(words, mask_end, header, "fixed_length", int(np.count_nonzero(mask)))
    if not packed.all():
        raise CodingError("a symbol that the mask marks as not zero must not be zero, but got 0")
    flat = np.zeros(header.symbols, packed.dtype)
    flat[mask] = packed
    return flat


def _unpack(words: NDArray[np.uint64], start: int, header: Header, codec: str, number: int) -> Integers:
    """Return ``number`` unsigned symbols; their code is all that remains from bit ``start`` on."""
    from trials.coding import kernels

    symbols: Integers = np.empty(number, f"u{header.dtype.itemsize}")
    k, end = np.uint64(header.k), np.uint64(header.code_bits)
    largest = np.uint64(np.iinfo(symbols.dtype).max)
    position = kernels.unpack(
        words, np.uint64(start), end, _kernel_codec(codec, header.k), k, largest, symbols
    )
    if position == kernels.FAILED or position != end:
        raise CodingError(
            f"the code must be {len(symbols)} symbols of {codec}, k={header.k}, but got something else"
        )
    return symbols


def _kernel_codec(codec: str, k: int) -> np.uint64:
    """Return the number of a codec in ``kernels``; the symbols after the mask of ``zero_value`` have fixed length."""
    from trials.coding import kernels

    if codec == "golomb_rice":
        return kernels.GOLOMB_RICE
    if codec == "sparse_exponential_golomb" and k > 0:
        return kernels.SPARSE_EXPONENTIAL_GOLOMB
    return kernels.EXPONENTIAL_GOLOMB if codec.endswith("exponential_golomb") else kernels.FIXED_LENGTH


def _words(code: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return bytes as 64-bit words, followed by a word of zeros that the kernels may read."""
    padded = np.zeros(len(code) // 8 + 2, ">u8")
    padded.view(np.uint8)[: len(code)] = code
    return padded.astype(np.uint64)
