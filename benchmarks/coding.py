"""Speed of the codecs on one core, and their sizes against the Shannon entropy and zstd.

Maps of 8-bit symbols: ``relu`` (60% zeros, the others geometric), ``signed`` (the same, two-sided) and ``dense`` (a
Gaussian of standard deviation 30). One MB/s is 10^6 symbols of one byte a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pyarrow as pa
import torch
from torch import Tensor

from benchmarks import harness
from benchmarks.harness import Figure, Measured, Table, Timings, interleaved
from trials import coding

TARGETS = {"encode": 100.0, "decode": 100.0, "size_in_bits": 500.0}
"""MB/s that the slowest codec must reach on the slowest map."""
ALL = (*coding.CODECS, coding.BEST)
ZSTD_LEVELS = (3, 19)
ZSTD_SYMBOLS = 1 << 21
"""Symbols of each map given to zstd: level 19 is slow, and more symbols do not change its ratio."""


def maps(symbols: int) -> dict[str, Tensor]:
    """Return the three maps by name, [symbols] each; always the same."""
    generator = torch.Generator().manual_seed(0)
    kept = torch.rand(symbols, generator=generator) > 0.6
    magnitude = torch.empty(symbols).geometric_(0.12, generator=generator) * kept
    sign = torch.randint(0, 2, (symbols,), generator=generator) * 2 - 1
    bell = torch.randn(symbols, generator=generator) * 30
    return {
        "relu": magnitude.clamp(max=255).to(torch.uint8),
        "signed": (magnitude * sign).clamp(-127, 127).to(torch.int8),
        "dense": bell.round().clamp(-127, 127).to(torch.int8),
    }


def measure(quick: bool) -> Measured:
    """Measure the speed and the size of every codec on three maps of 8-bit symbols."""
    symbols = 1 << 21 if quick else 1 << 24
    rounds = 3 if quick else 9
    given = maps(symbols)
    with harness.one_thread():
        check(given)
        timings = interleaved(dict(_candidates(given)), rounds, warmup=1)
    configuration = {"symbols": symbols, "rounds": rounds, "torch_threads": 1, "maps": list(given)}
    tables = [_speed_table(timings, given), _size_table(given)]
    return Measured(list(_figures(timings, given)), configuration, tables)


def check(given: dict[str, Tensor]) -> None:
    """Assert for every codec: it is lossless, its size is as computed, and not below the entropy."""
    for name, symbols in given.items():
        for codec in ALL:
            stream = coding.encode(symbols, codec)
            bits = coding.size_in_bits(symbols, codec)
            assert torch.equal(coding.decode(stream), symbols), f"{codec} of {name} is not lossless"
            assert coding.read_header(stream).code_bits == bits, f"{codec} of {name} has another size"
            assert bits >= coding.entropy_in_bits(symbols), f"{codec} of {name} is below the entropy"


def _candidates(given: dict[str, Tensor]) -> Iterator[tuple[str, Callable[[], object]]]:
    for name, symbols in given.items():
        for codec in ALL:
            stream = coding.encode(symbols, codec)
            yield f"encode {codec} {name}", partial(coding.encode, symbols, codec)
            yield f"decode {codec} {name}", partial(coding.decode, stream)
            yield f"size_in_bits {codec} {name}", partial(coding.size_in_bits, symbols, codec)


def _speed(timings: Timings, given: dict[str, Tensor], work: str, codec: str, name: str) -> float:
    return given[name].numel() / timings.median(f"{work} {codec} {name}") / 1e6


def _figures(timings: Timings, given: dict[str, Tensor]) -> Iterator[Figure]:
    slowest = {
        (work, codec): min(_speed(timings, given, work, codec, name) for name in given)
        for work in TARGETS
        for codec in ALL
    }
    for work, target in TARGETS.items():
        yield Figure(f"{work}_MBps", min(slowest[work, codec] for codec in ALL), "MB/s", target)
    for (work, codec), speed in slowest.items():
        yield Figure(f"{work}_{codec}_MBps", speed, "MB/s")
    for name, symbols in given.items():
        bits = coding.size_in_bits(symbols, coding.BEST)
        yield Figure(
            f"best_over_entropy_{name}", bits / coding.entropy_in_bits(symbols), "ratio", None, "lower"
        )


def _speed_table(timings: Timings, given: dict[str, Tensor]) -> Table:
    rows: list[list[str | float | None]] = [
        [codec, name, *(_speed(timings, given, work, codec, name) for work in TARGETS)]
        for codec in ALL
        for name in given
    ]
    return Table("MB/s on one core", ["codec", "map", *TARGETS], rows)


def _size_table(given: dict[str, Tensor]) -> Table:
    """Return bits a symbol: of a codec the code without header, of zstd the whole compressed buffer."""
    sizes = {"entropy": [coding.entropy_in_bits(s) / s.numel() for s in given.values()]}
    for codec in ALL:
        sizes[codec] = [coding.size_in_bits(s, codec) / s.numel() for s in given.values()]
    for level in ZSTD_LEVELS:
        zstd = pa.Codec("zstd", compression_level=level)
        samples = [s[:ZSTD_SYMBOLS].numpy().tobytes() for s in given.values()]
        sizes[f"zstd level {level}"] = [8 * len(zstd.compress(s)) / len(s) for s in samples]
    return Table("bits a symbol", ["code", *given], [[code, *row] for code, row in sizes.items()])


if __name__ == "__main__":
    harness.main("coding", measure)
