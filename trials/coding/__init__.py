"""Lossless codecs of integer symbols: quantized feature maps and weights, as an accelerator would store them.

Every codec writes unsigned symbols. An unsigned dtype is taken as it is; a signed one is mapped first: 0,
-1, 1, -2, 2, ... to 0, 1, 2, 3, 4, ... (zigzag). The code of one symbol x, with its parameter k:

``exponential_golomb`` (k 0..63)
    EG0(x) = binary of x + 1 preceded by (its length - 1) zeros; EGk(x) = EG0(x >> k), then the k low bits.
``sparse_exponential_golomb`` (k 0..63)
    k > 0: zero is the single bit 1, any other x is the bit 0, then EGk(x - 1). k = 0: EG0.
``golomb_rice`` (k 0..63)
    x >> k zeros, a one, then the k low bits of x.
``zero_value`` (k 1..64, the width)
    A mask, one bit a symbol, 1 where it is not zero; then the non-zero symbols in k bits each.
``fixed_length`` (k 1..64, the width)
    Every symbol in k bits.
``best``
    The smallest of the five, each at its best k. It pays 3 bits, the first of its code, for saying which.

*The code* is what counts: :func:`size_in_bits` is its exact length, and the stream of :func:`encode` holds
exactly so many bits after its header. The parameter k, the dtype and the shape are in the header and counted
for no codec, as the scale of a quantized map is. Every code takes at least one bit a symbol.

Sources: Exponential-Golomb: J. Teuhola, "A compression method for clustered bit-vectors", 1978; the sparse
one: G. Georgiadis, "Accelerating convolutional neural networks via activation map compression", CVPR 2019
(arXiv 1812.04056); Golomb-Rice: R. F. Rice and J. R. Plaunt, "Adaptive variable-length coding", 1971.
"""

from trials.coding.header import CodingError, Header, read_header
from trials.coding.sizes import (
    BEST,
    CHOICE_BITS,
    CODECS,
    best_codec,
    best_k,
    entropy_from_histogram,
    entropy_in_bits,
    size_from_histogram,
    size_in_bits,
)
from trials.coding.stream import decode, encode
from trials.coding.symbols import histogram

__all__ = [
    "BEST",
    "CHOICE_BITS",
    "CODECS",
    "CodingError",
    "Header",
    "best_codec",
    "best_k",
    "decode",
    "encode",
    "entropy_from_histogram",
    "entropy_in_bits",
    "histogram",
    "read_header",
    "size_from_histogram",
    "size_in_bits",
]
