"""Effective macs: the multiply-adds whose feature-map operand is not zero, counted exactly.

An input feature of a convolution takes part in (C_out / groups) x r multiply-adds, where r is the number of (output
pixel, kernel element) pairs that read its pixel. r depends on stride, dilation, padding and the distance to the border,
and is a product of one factor per direction. So the count is a weighted sum over non-zero features; single
multiply-adds are never enumerated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from search_space.attention import AttentionProduct
from search_space.feature_map import FeatureMap, Listener, listening, taps
from trials.device.memory_order import in_memory_order


class EffectiveMacs:
    """Counts the effective macs of forward passes within :meth:`counting`.

    A product of two feature maps, in attention, counts if both operands are not zero.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._total = torch.zeros((), dtype=torch.float64)
        self._names = {module: name for name, module in network.named_modules()}
        self._values: dict[str, Tensor] = {}
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
        return int(self._total)

    def _probability_taps(self) -> list[str]:
        """Return the names of the taps of attention probabilities."""
        owners = {name for module, name in self._names.items() if isinstance(module, AttentionProduct)}
        return [name for name in taps(self._network) if name.rsplit(".", 1)[0] in owners]

    def _probability_listener(self, name: str, listener: Listener | None) -> Listener:
        """Return a listener that calls ``listener`` and then counts the product of probabilities and values."""
        product = name.rsplit(".", 1)[0]

        def listen(x: Tensor) -> Tensor:
            x = x if listener is None else listener(x)
            value = self._values.pop(product)
            # Exact in float32: the sums are integers below 2^24. bf16 holds those up to 256 only.
            exact = torch.promote_types(value.dtype, torch.float32)
            present = _without_padding(x, self._taps[name]) != 0
            channels = (value != 0).sum(-1, keepdim=True).to(exact)  # non-zero ones: [..., T, 1]
            with torch.autocast(x.device.type, enabled=False):
                self._add((present.to(exact) @ channels).double())
            return x

        return listen

    def _add(self, counts: Tensor) -> None:
        self._total = self._total.to(counts.device) + counts.sum()

    def _count(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """Count one layer: a forward pre-hook. Attention products keep their values for the probabilities' listener."""
        x = inputs[0]
        if isinstance(module, nn.Conv2d):
            self._add(conv_effective_macs(module, x))
        elif isinstance(module, nn.Linear):
            self._add((x != 0).sum().double() * module.out_features)
        else:
            query, key, value = inputs[:3]
            self._add((query != 0).sum(-2).double() * (key != 0).sum(-2).double())
            self._values[self._names[module]] = value


def _without_padding(x: Tensor, tap: FeatureMap) -> Tensor:
    """Return the map ``x`` [B, ...] with its padding set to zero."""
    if tap.inside is None:
        return x
    inside = torch.zeros(x[0].numel(), dtype=x.dtype, device=x.device).index_fill_(0, tap.inside, 1)
    return x * inside.view(x.shape[1:])


def conv_effective_macs(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """Return the effective macs of ``conv`` on ``x`` [B, C, H, W], all images together: a float64 scalar."""
    (height, width), kernel, stride = x.shape[2:], conv.kernel_size, conv.stride
    rows = _reads(height, kernel[0], stride[0], int(conv.padding[0]), conv.dilation[0], x.device)
    columns = _reads(width, kernel[1], stride[1], int(conv.padding[1]), conv.dilation[1], x.device)
    weighted = rows @ _count_nonzero(x) @ columns
    return weighted * (conv.out_channels // conv.groups)


def _count_nonzero(x: Tensor) -> Tensor:
    """Return the number of non-zero features of each pixel over all images of ``x`` [B, C, H, W]: float64 [H, W]."""
    features = in_memory_order(x)
    if features is None:
        return (x != 0).sum((0, 1)).double()
    from trials.feature_maps import map_kernels

    images, channels, height, width = x.shape
    counts = np.zeros(height * width, np.int64)
    if x.is_contiguous():
        map_kernels.count_nonzero_channels_first(features.reshape(images, channels, -1), counts)
    else:
        map_kernels.count_nonzero_channels_last(features.reshape(images, -1, channels), counts)
    return torch.from_numpy(counts).view(height, width).double()


@lru_cache(maxsize=256)
def _reads(size: int, kernel: int, stride: int, padding: int, dilation: int, device: torch.device) -> Tensor:
    """Return how many (output pixel, kernel element) pairs of one direction read each pixel: float64 [size]."""
    outputs = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    starts, taps = torch.arange(outputs, device="cpu"), torch.arange(kernel, device="cpu")
    read = (starts[:, None] * stride + taps * dilation - padding).flatten()
    inside = read[(read >= 0) & (read < size)]
    return torch.bincount(inside, minlength=size).double().to(device)
