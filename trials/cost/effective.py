"""Effective macs: the multiply-adds whose feature-map operand is not zero, counted exactly.

An input feature of a convolution takes part in (C_out / groups) x r multiply-adds, where r is the number of (output
pixel, kernel element) pairs that read its pixel. r depends on stride, dilation, padding and the distance to the border,
and is a product of one factor per direction. So the count is a weighted sum over non-zero features; single
multiply-adds are never enumerated.

Counted with structure, a feature counts unless it belongs to a group of channels that is zero as a whole
(``trials.cost.grains``). The channels of an operand of an attention product are the dimension that the product sums
over, and those of the values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from search_space.attention import AttentionProduct
from search_space.feature_map import Listener, listening, taps
from trials.cost.grains import GRAINS, WHOLE, kept
from trials.device.memory_order import in_memory_order

COLUMNS = {
    1: "effective_macs",
    4: "effective_macs_groups_4",
    8: "effective_macs_groups_8",
    WHOLE: "effective_macs_channels",
}
"""Columns of the points by grain."""
FUSED = "effective_macs_fused"
"""Column for attention in one kernel: it computes all probabilities, and skips values that are zero."""


class EffectiveMacs:
    """Counts the effective macs of forward passes within :meth:`counting`.

    A product of two feature maps, in attention, counts if both operands are not zero.

    Args:
        network: the network.
        structured: count at all ``GRAINS``, and for fused attention; else only single features.
    """

    def __init__(self, network: nn.Module, *, structured: bool = False) -> None:
        self._network = network
        self._grains = GRAINS if structured else (1,)
        names = [COLUMNS[grain] for grain in self._grains] + ([FUSED] if structured else [])
        self._totals: dict[str, Tensor | None] = dict.fromkeys(names)
        self._names = {module: name for name, module in network.named_modules()}
        self._values: dict[str, tuple[Tensor, Tensor]] = {}
        self._taps = taps(network)

    @contextmanager
    def counting(self, listeners: Mapping[str, Listener]) -> Iterator[None]:
        """Count within the ``with`` block, with ``listeners`` (by tap name) attached.

        The macs of a layer are counted from its input, after the listeners have pruned or quantized it.
        """
        of_probabilities = {
            name: self._probability_listener(name, listeners.get(name)) for name in self._probability_taps()
        }
        kinds = (nn.Conv2d, nn.Linear, AttentionProduct)
        layers = [module for module in self._network.modules() if isinstance(module, kinds)]
        handles = [module.register_forward_pre_hook(self._count) for module in layers]
        try:
            with listening(self._network, {**listeners, **of_probabilities}):
                yield
        finally:
            for handle in handles:
                handle.remove()

    def total(self) -> int:
        """Return the effective macs of all images together."""
        return self.totals()[COLUMNS[1]]

    def totals(self) -> dict[str, int]:
        """Return the counts of all images together by the names of their columns."""
        return {name: int(total) for name, total in self.counted().items()}

    def counted(self) -> dict[str, Tensor]:
        """Return :meth:`totals` where they were counted: float64 scalars on the device."""
        nothing = torch.zeros((), dtype=torch.float64)
        return {name: nothing if total is None else total for name, total in self._totals.items()}

    def _probability_taps(self) -> list[str]:
        """Return the names of the taps of attention probabilities."""
        owners = {name for module, name in self._names.items() if isinstance(module, AttentionProduct)}
        return [name for name in self._taps if name.rsplit(".", 1)[0] in owners]

    def _probability_listener(self, name: str, listener: Listener | None) -> Listener:
        """Return a listener that calls ``listener`` and then counts the product of probabilities and values."""
        product = name.rsplit(".", 1)[0]

        def listen(x: Tensor) -> Tensor:
            x = x if listener is None else listener(x)
            value, inside = self._values.pop(product)
            pairs = inside[..., :, None] & inside[..., None, :]

            def count(grain: int) -> Tensor:
                present = kept((x != 0) & pairs, grain, [-2]) & pairs
                return _inner_product(present, _kept_rows(value, inside, grain).sum(-1))

            def fused() -> Tensor:
                return (inside.sum(-1) * (value != 0).sum((-1, -2))).sum().double()

            self._add(count, fused)
            return x

        return listen

    def _count(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """Count one layer: a forward pre-hook. Attention products keep their values for the probabilities' listener."""
        x = inputs[0]
        if isinstance(module, nn.Conv2d):
            self._add(conv_effective_macs(module, x, self._grains).__getitem__)
        elif isinstance(module, nn.Linear):
            self._add(
                lambda grain: kept(x != 0, grain, range(1, x.dim() - 1)).sum().double() * module.out_features
            )
        else:
            query, key, value, bias = inputs
            bias = bias.broadcast_to((*query.shape[1:-1], key.shape[-2]))
            inside = ~torch.isinf(bias).any(-2)  # no padding of a window: [(windows,) heads, T]
            self._add(
                lambda grain: (
                    (_kept_rows(query, inside, grain).sum(-2) * _kept_rows(key, inside, grain).sum(-2))
                    .sum()
                    .double()
                )
            )
            self._values[self._names[module]] = value, inside

    def _add(self, count: Callable[[int], Tensor], fused: Callable[[], Tensor] | None = None) -> None:
        """Add the counts of one layer or product, float64 scalars by grain; those of ``fused`` are of grain 1."""
        counts = {COLUMNS[grain]: count(grain) for grain in self._grains}
        if FUSED in self._totals:
            counts[FUSED] = counts[COLUMNS[1]] if fused is None else fused()
        for column, added in counts.items():
            before = self._totals[column]
            self._totals[column] = added if before is None else before + added


def _kept_rows(x: Tensor, inside: Tensor, grain: int) -> Tensor:
    """Return which features of ``x`` [B, (windows,) heads, T, D] must be computed; none of the padding of a window.

    ``inside`` [(windows,) heads, T] tells the positions that are no padding.
    """
    positions = [dimension for dimension in range(1, x.dim() - 1) if dimension != x.dim() - 3]
    return kept(x != 0, grain, positions) & inside[..., None]


def _inner_product(present: Tensor, channels: Tensor) -> Tensor:
    """Return the sum over present [..., T, T] times ``channels`` [..., T] of the keys: a float64 scalar."""
    # Exact in float32: the sums are integers below 2^24. bf16 holds those up to 256 only.
    with torch.autocast(present.device.type, enabled=False):
        return (present.float() @ channels.float()[..., None]).double().sum()


def conv_effective_macs(conv: nn.Conv2d, x: Tensor, grains: Sequence[int] = (1,)) -> dict[int, Tensor]:
    """Return the effective macs of ``conv`` on ``x`` [B, C, H, W] by grain, all images together: float64 scalars."""
    (height, width), kernel, stride = x.shape[2:], conv.kernel_size, conv.stride
    rows = _reads(height, kernel[0], stride[0], int(conv.padding[0]), conv.dilation[0], x.device)
    columns = _reads(width, kernel[1], stride[1], int(conv.padding[1]), conv.dilation[1], x.device)
    outputs = conv.out_channels // conv.groups
    counts = _count_kept(x, grains)
    return {grain: (rows @ counts[grain] @ columns) * outputs for grain in grains}


def _count_kept(x: Tensor, grains: Sequence[int]) -> dict[int, Tensor]:
    """Return the number of features of ``x`` [B, C, H, W] to compute, by grain: of each pixel, float64 [H, W]."""
    features = in_memory_order(x)
    if features is None:
        nonzero = (x != 0).movedim(1, -1)
        return {grain: kept(nonzero, grain, [1, 2]).sum((0, 3)).double() for grain in grains}
    from trials.feature_maps import map_kernels

    images, channels, height, width = x.shape
    last = not x.is_contiguous()
    shape = (images, height * width, channels) if last else (images, channels, height * width)
    if len(grains) == 1:
        single = np.zeros(height * width, np.int64)
        kernel = map_kernels.count_nonzero_channels_last if last else map_kernels.count_nonzero_channels_first
        kernel(features.reshape(shape), single)
        return {1: torch.from_numpy(single).view(height, width).double()}
    counts = np.zeros((len(GRAINS), height * width), np.int64)
    grouped = map_kernels.count_groups_channels_last if last else map_kernels.count_groups_channels_first
    grouped(features.reshape(shape), counts)
    maps = torch.from_numpy(counts).view(-1, height, width).double()
    return dict(zip(GRAINS, maps, strict=True))


@lru_cache(maxsize=256)
def _reads(size: int, kernel: int, stride: int, padding: int, dilation: int, device: torch.device) -> Tensor:
    """Return how many (output pixel, kernel element) pairs of one direction read each pixel: float64 [size]."""
    outputs = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    starts, taps = torch.arange(outputs, device=device), torch.arange(kernel, device=device)
    read = (starts[:, None] * stride + taps * dilation - padding).flatten()
    return (read == torch.arange(size, device=device)[:, None]).sum(1).double()
