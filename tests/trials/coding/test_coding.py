"""The codecs, compared with a reference that writes bits as text; damaged and hostile streams; invalid input."""

from __future__ import annotations

import math
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trials import coding
from trials.coding.symbols import DTYPES

CODECS = coding.CODECS
ALL = (*CODECS, "best")
WIDTHS = ("zero_value", "fixed_length")
RANGES = {dtype: (torch.iinfo(dtype).min, torch.iinfo(dtype).max) for dtype in DTYPES}


# The reference: the definitions, symbol by symbol, as text of 0 and 1.


def eg(x: int, k: int) -> str:
    binary = bin((x >> k) + 1)[2:]
    return "0" * (len(binary) - 1) + binary + low_bits(x, k)


def low_bits(x: int, k: int) -> str:
    return format(x & ((1 << k) - 1), f"0{k}b") if k else ""


def reference(values: list[int], codec: str, k: int) -> str:
    if codec == "zero_value":
        mask = "".join("01"[x != 0] for x in values)
        return mask + "".join(low_bits(x, k) for x in values if x)
    code = {
        "exponential_golomb": lambda x: eg(x, k),
        "sparse_exponential_golomb": lambda x: eg(x, 0) if k == 0 else "0" + eg(x - 1, k) if x else "1",
        "golomb_rice": lambda x: "0" * (x >> k) + "1" + low_bits(x, k),
        "fixed_length": lambda x: low_bits(x, k),
    }[codec]
    return "".join(map(code, values))


def zigzag(value: int) -> int:
    return 2 * value if value >= 0 else -2 * value - 1


def code_of(data: bytes) -> str:
    """Return the code of a stream, between header and checksum, as text."""
    header = coding.read_header(data)
    code = data[17 + 8 * len(header.shape) : -4]
    return "".join(format(byte, "08b") for byte in code)[: header.code_bits]


def tensor(values: list[int], dtype: torch.dtype) -> torch.Tensor:
    name = str(dtype).removeprefix("torch.")
    return torch.from_numpy(np.array(values, dtype=name))


def symbol_lists(dtype: torch.dtype) -> st.SearchStrategy[list[int]]:
    low, high = RANGES[dtype]
    small = st.integers(max(low, -3), 3)
    extreme = st.sampled_from([low, low + 1, high - 1, high, high // 2, high // 2 + 1])
    return st.lists(st.one_of(small, st.integers(low, high), extreme), max_size=40)


any_symbols = st.sampled_from(DTYPES).flatmap(lambda d: st.tuples(st.just(d), symbol_lists(d)))


@pytest.mark.parametrize(
    ("codec", "k", "codes"),
    [
        ("exponential_golomb", 0, ["1", "010", "011", "00100", "00101", "00110", "00111", "0001000"]),
        ("exponential_golomb", 1, ["10", "11", "0100", "0101", "0110", "0111", "001000", "001001"]),
        ("sparse_exponential_golomb", 0, ["1", "010", "011", "00100"]),
        ("sparse_exponential_golomb", 1, ["1", "010", "011", "00100", "00101", "00110", "00111", "0001000"]),
        ("golomb_rice", 1, ["10", "11", "010", "011", "0010", "0011"]),
        ("fixed_length", 3, ["000", "001", "010", "011", "100"]),
        ("zero_value", 3, ["0", "1001", "1010", "1011"]),
    ],
)
def test_codes_of_the_first_symbols(codec: str, k: int, codes: list[str]) -> None:
    for x, code in enumerate(codes):
        data = coding.encode(torch.tensor([x], dtype=torch.uint8), codec, k)
        assert code_of(data) == code
        assert reference([x], codec, k) == code


def test_zero_value_is_the_mask_and_then_the_symbols_that_are_not_zero() -> None:
    data = coding.encode(torch.tensor([0, 5, 0, 2], dtype=torch.uint8), "zero_value")
    assert code_of(data) == "0101" + "101" + "010"


@pytest.mark.parametrize("dtype", [torch.int8, torch.int64])
def test_signed_symbols_alternate_around_zero(dtype: torch.dtype) -> None:
    signed = torch.tensor([0, -1, 1, -2, 2], dtype=dtype)
    unsigned = torch.tensor([0, 1, 2, 3, 4], dtype=torch.uint8)
    for codec in ALL:
        assert code_of(coding.encode(signed, codec)) == code_of(coding.encode(unsigned, codec))


@settings(max_examples=400, deadline=None)
@given(any_symbols, st.sampled_from(ALL))
def test_best_stream_equals_the_reference_and_decodes_to_the_symbols(
    symbols: tuple[torch.dtype, list[int]], codec: str
) -> None:
    dtype, values = symbols
    given_tensor = tensor(values, dtype)
    data = coding.encode(given_tensor, codec)
    decoded = coding.decode(data)
    assert decoded.dtype == dtype
    assert decoded.tolist() == values
    header = coding.read_header(data)
    unsigned = [zigzag(v) for v in values] if RANGES[dtype][0] < 0 else values
    if codec == "best":
        choice = coding.best_codec(given_tensor)
        expected = format(CODECS.index(choice.codec), "03b") + reference(unsigned, choice.codec, choice.k)
    else:
        expected = reference(unsigned, codec, header.k)
    assert code_of(data) == expected
    assert coding.size_in_bits(given_tensor, codec) == header.code_bits == len(expected)


@settings(max_examples=400, deadline=None)
@given(any_symbols, st.sampled_from(CODECS), st.integers(0, 64))
def test_size_is_the_length_of_the_stream_at_every_k(
    symbols: tuple[torch.dtype, list[int]], codec: str, k: int
) -> None:
    dtype, values = symbols
    given_tensor = tensor(values, dtype)
    unsigned = [zigzag(v) for v in values] if RANGES[dtype][0] < 0 else values
    largest = max(unsigned, default=0)
    k = max(k, largest.bit_length(), 1) if codec in WIDTHS else min(k, 63)
    bits = coding.size_in_bits(given_tensor, codec, k)
    if codec == "golomb_rice" and largest >> k > 10_000:
        assert bits == sum((x >> k) + 1 + k for x in unsigned)
        return
    data = coding.encode(given_tensor, codec, k)
    assert code_of(data) == reference(unsigned, codec, k)
    assert bits == coding.read_header(data).code_bits
    assert coding.decode(data).tolist() == values


@pytest.mark.parametrize("codec", ALL)
@pytest.mark.parametrize("dtype", DTYPES)
def test_tensors_of_all_shapes_and_strides_are_decoded(codec: str, dtype: torch.dtype) -> None:
    low, high = RANGES[dtype]
    values = [low, high, 0, 1, max(low, -1), 5] * 4
    matrix = tensor(values, dtype).reshape(4, 6)
    decoded = coding.decode(coding.encode(matrix, codec))
    assert decoded.shape == (4, 6)
    assert decoded.tolist() == matrix.tolist()
    columns = matrix.t()[1::2]
    assert not columns.is_contiguous()
    assert coding.decode(coding.encode(columns, codec)).tolist() == columns.tolist()
    for shape in [(0,), (3, 0, 2), (0, 2**40)]:
        empty = torch.empty(shape, dtype=dtype)
        decoded = coding.decode(coding.encode(empty, codec))
        assert (decoded.shape, decoded.dtype) == (empty.shape, dtype)
        assert coding.size_in_bits(empty, codec) == (3 if codec == "best" else 0)
    number = coding.decode(coding.encode(matrix[0, 0], codec))
    assert number.shape == ()
    assert number.item() == low


@pytest.mark.parametrize("codec", CODECS)
@given(values=st.lists(st.one_of(st.just(0), st.integers(0, 255), st.integers(0, 5000)), max_size=60))
@settings(max_examples=60, deadline=None)
def test_best_k_has_the_smallest_code(codec: str, values: list[int]) -> None:
    symbols = tensor(values, torch.uint16)
    low, high = (max(max(values, default=0).bit_length(), 1), 64) if codec in WIDTHS else (0, 63)
    sizes = {k: coding.size_in_bits(symbols, codec, k) for k in range(low, high + 1)}
    assert coding.best_k(symbols, codec) == min(sizes, key=lambda k: sizes[k])
    assert coding.size_in_bits(symbols, codec) == min(sizes.values())


@given(values=st.lists(st.integers(-128, 127), max_size=60))
@settings(max_examples=100, deadline=None)
def test_best_is_the_smallest_codec_and_three_bits(values: list[int]) -> None:
    symbols = tensor(values, torch.int8)
    sizes = [coding.size_in_bits(symbols, codec) for codec in CODECS]
    assert coding.size_in_bits(symbols, "best") == min(sizes) + 3
    choice = coding.best_codec(symbols)
    assert (choice.codec, choice.bits) == (CODECS[sizes.index(min(sizes))], min(sizes))


def test_sizes_of_several_batches_follow_from_the_sum_of_their_histograms() -> None:
    generator = torch.Generator().manual_seed(0)
    batches = [
        torch.randint(-128, 128, (3, 50), generator=generator, dtype=torch.int8) // 9 for _ in range(4)
    ]
    counts = torch.stack([coding.histogram(b) for b in batches]).sum(0)
    together = torch.cat(batches)
    assert counts.shape == (256,)
    assert counts[:3].tolist() == [int((together == v).sum()) for v in (0, -1, 1)]
    for codec in ALL:
        assert coding.size_from_histogram(counts, codec) == coding.size_in_bits(together, codec)
    for codec in CODECS:
        assert coding.size_from_histogram(counts, codec, 7) == coding.size_in_bits(together, codec, 7)
    assert coding.entropy_from_histogram(counts) == coding.entropy_in_bits(together)


@pytest.mark.parametrize(
    ("dtype", "wide"), [(torch.uint8, torch.uint16), (torch.uint8, torch.uint64), (torch.int8, torch.int32)]
)
def test_8_bit_symbols_are_counted_like_wider_ones(dtype: torch.dtype, wide: torch.dtype) -> None:
    symbols = torch.arange(256).to(torch.uint8).view(dtype).repeat_interleave(torch.arange(256))
    for codec in ALL:
        assert coding.size_in_bits(symbols, codec) == coding.size_in_bits(symbols.to(wide), codec)


def test_sizes_beyond_64_bits_are_exact_but_cannot_be_encoded() -> None:
    symbols = tensor([2**64 - 1, 2**64 - 2, 0], torch.uint64)
    assert coding.size_in_bits(symbols, "golomb_rice", 0) == 2**64 - 1 + 2**64 - 2 + 3
    with pytest.raises(coding.CodingError, match="at most 1073741824 bits, but got 36893488147419103232"):
        coding.encode(symbols, "golomb_rice", 0)
    assert coding.decode(coding.encode(symbols, "golomb_rice")).tolist() == symbols.tolist()


def test_entropy_of_known_distributions_is_a_lower_bound_of_all_codes() -> None:
    assert coding.entropy_in_bits(torch.arange(8, dtype=torch.uint8)) == 8 * 3
    assert coding.entropy_in_bits(torch.zeros(100, dtype=torch.int32)) == 0
    assert coding.entropy_in_bits(torch.empty(0, dtype=torch.uint8)) == 0
    quarter = coding.entropy_in_bits(torch.tensor([0, 0, 0, 9]))
    assert quarter == pytest.approx(4 * (0.75 * math.log2(4 / 3) + 0.25 * 2))
    geometric = torch.from_numpy(np.random.default_rng(0).geometric(0.3, 4000).clip(max=255).astype(np.uint8))
    for codec in ALL:
        assert coding.size_in_bits(geometric, codec) >= coding.entropy_in_bits(geometric)


def test_the_stream_format_does_not_change() -> None:
    symbols = torch.tensor([[0, -1, 1], [0, 0, 2]], dtype=torch.int8)
    data = coding.encode(symbols, "best")
    head = b"SSWC" + struct.pack("<BBBBBQQQ", 1, 5, 0, 1, 2, 16, 2, 3)
    golomb_rice = "010" + "1" + "01" + "001" + "1" + "1" + "00001"
    code = int(golomb_rice, 2).to_bytes(2, "big")
    assert data == head + code + struct.pack("<I", zlib.crc32(head + code))


# Damage


@pytest.mark.parametrize("codec", ALL)
def test_every_flipped_bit_and_every_truncation_is_an_error(codec: str) -> None:
    data = coding.encode(torch.tensor([[0, 3, -7], [100, 0, 1]], dtype=torch.int16), codec)
    for i in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[i // 8] ^= 1 << i % 8
        with pytest.raises(coding.CodingError):
            coding.decode(damaged)
    for cut in range(len(data)):
        with pytest.raises(coding.CodingError):
            coding.decode(data[:cut])
    with pytest.raises(coding.CodingError, match="by its header"):
        coding.decode(data + b"\0")


def stream(codec: int, k: int, dtype: int, shape: tuple[int, ...], code_bits: int, code: bytes) -> bytes:
    """Return a stream with arbitrary header fields and a valid checksum."""
    head = b"SSWC" + struct.pack("<BBBBBQ", 1, codec, k, dtype, len(shape), code_bits)
    head += struct.pack(f"<{len(shape)}Q", *shape) + code
    return head + struct.pack("<I", zlib.crc32(head))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ((4, 1, 0, (2**62,), 8, b"\0"), "at least one bit"),
        ((4, 1, 0, (2**62, 2**62), 8, b"\0"), "at least one bit"),
        ((4, 1, 0, (8,), 2**63, b"\0"), "by its header"),
        ((4, 1, 0, (0, 2**64 - 1, 2**64 - 1), 0, b""), "sizes must be those of a tensor"),
        ((6, 1, 0, (8,), 8, b"\0"), "codec and dtype must be known"),
        ((4, 1, 8, (8,), 8, b"\0"), "codec and dtype must be known"),
        ((4, 0, 0, (8,), 8, b"\0"), "k of fixed_length must be 1 to 64"),
        ((0, 64, 0, (1,), 8, b"\0"), "k of exponential_golomb must be 0 to 63"),
        ((5, 1, 0, (1,), 8, b"\xff"), "choice of a codec must be 0 to 4, but got 7"),
        ((5, 1, 0, (1,), 2, b"\0"), "choice of a codec"),
        ((4, 9, 0, (1,), 9, b"\xff\x80"), "must be 1 symbols of fixed_length"),  # 511 is no uint8
        ((4, 1, 0, (7,), 8, b"\0"), "must be 7 symbols"),  # one bit too many
        ((4, 3, 0, (3,), 8, b"\0"), "must be 3 symbols"),  # one bit too few
        ((0, 0, 0, (1,), 8, b"\0"), "must be 1 symbols"),  # only zeros
        ((2, 0, 0, (1,), 300, b"\0" * 37 + b"\x10"), "must be 1 symbols"),  # 299 is no uint8
        ((0, 0, 6, (1,), 129, b"\0" * 8 + b"\xff" * 8 + b"\x80"), "must be 1 symbols"),  # beyond uint64
        ((3, 1, 0, (8,), 9, b"\x80\0"), "must not be zero"),
        ((3, 1, 0, (8,), 8, b"\x80"), "must be 1 symbols"),
        ((5, 1, 0, (8,), 10, b"\x60\0"), "mask must end by bit 10, but got 11"),
    ],
)
def test_a_hostile_stream_with_a_valid_checksum_is_an_error(
    fields: tuple[int, int, int, tuple[int, ...], int, bytes], message: str
) -> None:
    with pytest.raises(coding.CodingError, match=message):
        coding.decode(stream(*fields))


@settings(max_examples=500, deadline=None)
@given(
    codec=st.integers(0, 5),
    k=st.integers(0, 64),
    dtype=st.integers(0, 7),
    number=st.integers(0, 60),
    code=st.binary(max_size=40),
    short=st.integers(0, 7),
)
def test_any_stream_is_an_error_or_the_code_of_its_symbols(
    codec: int, k: int, dtype: int, number: int, code: bytes, short: int
) -> None:
    data = stream(codec, k, dtype, (number,), max(8 * len(code) - short, 0), code)
    try:
        symbols = coding.decode(data)
    except coding.CodingError:
        return
    assert symbols.shape == (number,)
    assert symbols.dtype == DTYPES[dtype]
    if codec < 5:
        assert code_of(coding.encode(symbols, CODECS[codec], k)) == code_of(data)


def test_a_stream_of_another_kind_is_an_error() -> None:
    data = coding.encode(torch.tensor([1]), "best")
    with pytest.raises(coding.CodingError, match="must start with b'SSWC', version 1, but got b'PAR1', 1"):
        coding.decode(b"PAR1" + data[4:])
    with pytest.raises(coding.CodingError, match="at least 21 bytes, but got 3"):
        coding.decode(b"SSW")
    assert issubclass(coding.CodingError, ValueError)


# Input that is refused


@pytest.mark.parametrize("call", [coding.size_in_bits, coding.encode])
def test_errors_name_the_invalid_argument_and_its_value(call: Callable[..., object]) -> None:
    symbols = torch.tensor([0, 17], dtype=torch.uint8)
    with pytest.raises(ValueError, match=r"but got 'golomb_rise' \(did you mean 'golomb_rice'\?\)"):
        call(symbols, "golomb_rise")
    with pytest.raises(ValueError, match="`k` of golomb_rice must be 0 to 63, but got 64"):
        call(symbols, "golomb_rice", 64)
    with pytest.raises(ValueError, match="`k` of fixed_length must be 1 to 64, but got 0"):
        call(symbols, "fixed_length", 0)
    with pytest.raises(ValueError, match="`k` of exponential_golomb must be 0 to 63, but got True"):
        call(symbols, "exponential_golomb", True)
    with pytest.raises(ValueError, match="largest symbol, 17, but got 4 bits"):
        call(symbols, "zero_value", 4)
    with pytest.raises(ValueError, match="`k` must be None for the codec 'best', but got 2"):
        call(symbols, "best", 2)
    for bad in (torch.tensor([0.5]), torch.tensor([True])):
        with pytest.raises(ValueError, match=f"8 to 64 bit integers, but got {bad.dtype}"):
            call(bad, "best")


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (torch.tensor([1.0]), "must be integers"),
        (torch.tensor([[1]]), "must be integers"),
        (torch.tensor([1, -2]), "must not be negative, but got -2"),
    ],
)
def test_an_invalid_histogram_is_refused(counts: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        coding.size_from_histogram(counts, "best")


def test_only_streams_need_numba() -> None:
    code = (
        "import sys, torch; from trials import coding; coding.size_in_bits(torch.tensor([1]), 'best');"
        "assert 'numba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
