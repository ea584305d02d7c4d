"""Lossless codecs of integer symbols: quantized feature maps and weights, as an accelerator would store them.

All codecs encode unsigned symbols. Signed dtypes are mapped to unsigned symbols first (zigzag): 0, -1, 1, -2, 2, ...
to 0, 1, 2, 3, 4, ... The code of a symbol x with the parameter k of the codec:

``exponential_golomb`` (k 0..63)
    EG0(x): the binary form of x + 1, preceded by one zero fewer than its length. EGk(x): EG0(x >> k), then the k low
    bits of x.
``sparse_exponential_golomb`` (k 0..63)
    k > 0: zero is the single bit 1; any other x is the bit 0, then EGk(x - 1). k = 0: EG0.
``golomb_rice`` (k 0..63)
    x >> k zeros, a one, then the k low bits of x.
``zero_value`` (k 1..64, the width)
    A mask of one bit per symbol, 1 where it is not zero; then the non-zero symbols in k bits each.
``fixed_length`` (k 1..64, the width)
    Every symbol in k bits.
``best``
    The smallest of the five codes, each at its best k, preceded by 3 bits that identify the codec.

:func:`size_in_bits` returns the exact length of this code, and a stream of :func:`encode` holds exactly that many bits
after its header. The header stores k, the dtype and the shape. Sizes do not include it, for any codec, as they do not
include the scale of a quantized map. Every code takes at least one bit per symbol.

Sources: exponential-Golomb: J. Teuhola, "A compression method for clustered bit-vectors", 1978. Sparse
exponential-Golomb: G. Georgiadis, "Accelerating convolutional neural networks via activation map compression", CVPR
2019 (arXiv 1812.04056). Golomb-Rice: R. F. Rice and J. R. Plaunt, "Adaptive variable-length coding", 1971.
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
    sizes_from_histograms,
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
    "sizes_from_histograms",
]
