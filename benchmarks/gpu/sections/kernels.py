"""Kernels: the operations that take most of a step, one by one, at the sizes of the first cell of the supernet.

Gram products: z^T z of every term of a node. Depthwise convolutions: forward, input gradient, weight gradient, in both
memory layouts. GB/s counts every map once, so it can be compared with the copy ceiling; caches are emptied before.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.gpu.day import Day
from benchmarks.gpu.numerics import relative_error, tf32
from benchmarks.gpu.timing import milliseconds
from benchmarks.harness import Cell
from search_space.supernet.block_products import inner_products
from search_space.supernet.depthwise import depthwise_conv

TERMS = (2, 5)
"""Terms of a map: edges into the first and into the last node."""
CHUNKS = 128
"""Parts of the positions whose products are computed at the same time by the wide form."""
RUNS = 20
FORMATS = {"channels last": torch.channels_last, "channels first": torch.contiguous_format}


def measure(day: Day) -> None:
    """Time Gram products, then depthwise convolutions."""
    images, channels, side = day.pick((64, 16, 32), (2, 4, 8))
    rows: list[list[Cell]] = []

    def timed(name: str, dtype: torch.dtype, moved: int, call: Callable[[], object]) -> None:
        short = str(dtype).removeprefix("torch.")
        with day.attempt(f"{name}, {short}"):
            ms = milliseconds(call, day.device, day.pick(RUNS, 1), cold=True)
            rows.append([name, short, ms, moved / ms / 1e6])
            day.table("single operations", ("operation", "dtype", "ms", "GB/s"), rows)

    with tf32(False):
        for dtype in (torch.float32, torch.bfloat16):
            for terms in TERMS:
                z = torch.randn(images * side**2, terms * channels, device=day.device).to(dtype)
                moved = z.numel() * z.element_size()
                name = f"Gram products of {terms} terms"
                timed(name, dtype, moved, lambda z=z: inner_products(z, z, channels, torch.float32))  # type: ignore[misc]
                timed(f"{name}, one wide product", dtype, moved, lambda z=z: wide_gram(z, channels))  # type: ignore[misc]
            for layout, memory_format in FORMATS.items():
                for kernel, dilation in ((3, 1), (5, 1), (3, 2), (5, 2)):
                    x = torch.randn(images, TERMS[1] * channels, side, side, device=day.device).to(dtype)
                    x = x.contiguous(memory_format=memory_format)
                    weight = torch.randn(x.shape[1], 1, kernel, kernel, device=day.device).to(dtype)
                    name = f"depthwise {kernel}x{kernel}{', dilated' if dilation > 1 else ''}, {layout}"
                    _time_depthwise(timed, name, x, weight, dilation)
        _check_wide_gram(day)


def wide_gram(z: Tensor, channels: int) -> Tensor:
    """Return z_t^T z_t of every term [k, C, C] in float32, as one product of all terms, split over positions.

    It computes all k^2 blocks and keeps those of the diagonal, but fills a GPU, which one product a term does not.
    """
    n, width = z.shape
    chunks = next(count for count in range(min(CHUNKS, n), 0, -1) if n % count == 0)
    parts = z.view(chunks, n // chunks, width)
    if z.dtype == torch.float32 or not z.is_cuda:
        products = torch.bmm(parts.mT.float(), parts.float())
    else:
        products = torch.bmm(parts.mT, parts, out_dtype=torch.float32)
    blocks = products.sum(0).view(-1, channels, width // channels, channels).diagonal(0, 0, 2)  # [C, C, k]
    return blocks.permute(2, 0, 1)


def _check_wide_gram(day: Day) -> None:
    name = "one wide Gram product equals one a term"
    with day.attempt(name, check=True):
        z = torch.randn(4 * CHUNKS, 12, device=day.device)
        error = relative_error([wide_gram(z, 4)], [inner_products(z, z, 4, torch.float32)])
        day.check(name, error < 1e-5, f"relative difference {error:.2g}")


def _time_depthwise(
    timed: Callable[[str, torch.dtype, int, Callable[[], object]], None], name: str, x: Tensor, weight: Tensor,
    dilation: int,
) -> None:  # fmt: skip
    gradient = torch.randn_like(x)
    moved = 2 * x.numel() * x.element_size()
    padding = weight.shape[-1] // 2 * dilation

    def backward(of_input: bool) -> Callable[[], object]:
        return lambda: torch.ops.aten.convolution_backward(
            gradient, x, weight, None, [1, 1], [padding] * 2, [dilation] * 2, False, [0, 0], x.shape[1],
            [of_input, not of_input, False],
        )  # fmt: skip

    timed(f"{name}: forward", x.dtype, moved, lambda: depthwise_conv(x, weight, dilation=dilation))
    timed(f"{name}: input gradient", x.dtype, moved, backward(True))
    timed(f"{name}: weight gradient", x.dtype, moved, backward(False))
