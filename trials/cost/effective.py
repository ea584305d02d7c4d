"""Effective macs: the multiply-adds whose feature-map operand is not zero, counted exactly.

For a convolution, an input feature takes part in (C_out / groups) x (kernel positions that lie on it) multiply-adds;
how many positions lie on a pixel depends on stride, dilation, padding and border, separately in both directions. So
the count is a sum over non-zero features, weighted by pixel: no multiply-add is ever looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from search_space.attention import AttentionProduct
from search_space.feature_map import Listener, listening, taps
from trials.device.memory_order import in_memory_order


class EffectiveMacs:
    """Counts what passes through a network in the ``with`` block of :meth:`counting`.

    Every product of two feature maps (attention) counts where both operands are not zero.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._total = torch.zeros((), dtype=torch.float64)
        self._names = {module: name for name, module in network.named_modules()}
        self._values: dict[str, Tensor] = {}

    @contextmanager
    def counting(self, listeners: Mapping[str, Listener]) -> Iterator[None]:
        """Count every multiply-add of the passes in the ``with`` block, its taps heard by ``listeners``."""
        closing = {
            name: self._with_probabilities(name, listeners.get(name)) for name in self._probabilities()
        }
        kinds = (nn.Conv2d, nn.Linear, AttentionProduct)
        layers = [module for module in self._network.modules() if isinstance(module, kinds)]
        handles = [module.register_forward_pre_hook(self._count) for module in layers]
        try:
            with listening(self._network, {**listeners, **closing}):
                yield
        finally:
            for handle in handles:
                handle.remove()

    def total(self) -> int:
        """Return the effective macs of all images together."""
        return int(self._total)

    def _probabilities(self) -> list[str]:
        """Return the taps of attention probabilities: there the count of the second product is closed."""
        owners = {name for module, name in self._names.items() if isinstance(module, AttentionProduct)}
        return [name for name in taps(self._network) if name.rsplit(".", 1)[0] in owners]

    def _with_probabilities(self, name: str, then: Listener | None) -> Listener:
        product = name.rsplit(".", 1)[0]

        def listen(x: Tensor) -> Tensor:
            x = x if then is None else then(x)
            value = self._values.pop(product)
            channels = (
                (value != 0).sum(-1, keepdim=True).to(value.dtype)
            )  # [..., T, 1]: that a token's value has
            self._add(((x != 0).to(value.dtype) @ channels).double())  # exact: a row's sum is small
            return x

        return listen

    def _add(self, counts: Tensor) -> None:
        self._total = self._total.to(counts.device) + counts.sum()

    def _count(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        x = inputs[0]
        if isinstance(module, nn.Conv2d):
            self._add(conv_effective_macs(module, x))
        elif isinstance(module, nn.Linear):
            self._add((x != 0).sum().double() * module.out_features)
        else:
            query, key, value = inputs[:3]
            self._add((query != 0).sum(-2).double() * (key != 0).sum(-2).double())
            self._values[self._names[module]] = value


def conv_effective_macs(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """Return the multiply-adds of ``conv`` on ``x`` [B, C, H, W] whose feature is not zero, all images together."""
    rows = _positions(x.shape[2], conv.kernel_size[0], conv.stride[0], int(conv.padding[0]), conv.dilation[0])
    columns = _positions(
        x.shape[3], conv.kernel_size[1], conv.stride[1], int(conv.padding[1]), conv.dilation[1]
    )
    weighted = rows.to(x.device) @ _present(x) @ columns.to(x.device)
    return weighted * (conv.out_channels // conv.groups)


def _present(x: Tensor) -> Tensor:
    """Return how many features of each pixel are not zero in all images of ``x`` [B, C, H, W]: [H, W] float64."""
    features = in_memory_order(x)
    if features is None:
        return (x != 0).sum((0, 1)).double()
    from trials.feature_maps import map_kernels

    images, channels, height, width = x.shape
    counts = np.zeros(height * width, np.int64)
    if x.is_contiguous():
        map_kernels.present_channels_first(features.reshape(images, channels, -1), counts)
    else:
        map_kernels.present_channels_last(features.reshape(images, -1, channels), counts)
    return torch.from_numpy(counts).view(height, width).double()


@lru_cache(maxsize=256)
def _positions(size: int, kernel: int, stride: int, padding: int, dilation: int) -> Tensor:
    """Return how many (output, kernel) pairs of one direction read each of ``size`` pixels."""
    outputs = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    read = (torch.arange(outputs)[:, None] * stride + torch.arange(kernel) * dilation - padding).flatten()
    inside = read[(read >= 0) & (read < size)]
    return torch.bincount(inside, minlength=size).double()
