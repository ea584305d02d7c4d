"""The primitives by name, as modules: [B, C, H, W] -> [B, C, H', W'].

Convolutions are those of DARTS: ReLU, convolution, batch norm. ``affine`` is true in a discrete network and false in a
supernet, where the weight of the primitive replaces the scale of the batch norm.

Shapes: B batch, C channels, H height, W width; H' = ceil(H / stride), W' = ceil(W / stride).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from search_space.attention import MLP, SelfAttention
from search_space.feature_map import FeatureMap
from search_space.normalization import BatchNorm
from search_space.space import HEADS, MLP_RATIOS, Activation, SpaceError

WINDOW = 4
"""Side of a window of ``window_attention``, in positions."""


class ConvBlock(nn.Module):
    """ReLU, tap, one convolution or two with a tap in between, batch norm."""

    def __init__(self, convolutions: list[nn.Conv2d], affine: bool) -> None:
        super().__init__()
        self.input = FeatureMap(rectified=True)
        self.conv = convolutions[0]
        self.hidden = FeatureMap() if len(convolutions) > 1 else None
        self.pointwise = convolutions[1] if len(convolutions) > 1 else None
        self.bn = BatchNorm(convolutions[-1].out_channels, affine)

    @override
    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(self.input(F.relu(x)))
        if self.hidden is not None and self.pointwise is not None:
            x = self.pointwise(self.hidden(x))
        out: Tensor = self.bn(x)
        return out


class FactorizedReduce(nn.Module):
    """Halves height and width: two 1x1 convolutions of stride 2, the second shifted by one pixel, concatenated."""

    def __init__(self, channels_in: int, channels_out: int, affine: bool) -> None:
        super().__init__()
        self.input = FeatureMap(rectified=True)
        half = channels_out // 2
        self.even = nn.Conv2d(channels_in, half, 1, stride=2, bias=False)
        self.odd = nn.Conv2d(channels_in, channels_out - half, 1, stride=2, bias=False)
        self.bn = BatchNorm(channels_out, affine)

    @override
    def forward(self, x: Tensor) -> Tensor:
        x = self.input(F.relu(x))
        if x.shape[1] < SAFE_CHANNELS and x.device.type == "cpu" and torch.is_grad_enabled():
            return self.join(*halves(x))
        out: Tensor = self.bn(self.convolved(x))
        return out

    def convolved(self, x: Tensor) -> Tensor:
        """Return both convolutions of the rectified and tapped input, concatenated, before the batch norm."""
        shifted = x[:, :, 1:, 1:]
        if x.shape[2] % 2 or x.shape[3] % 2:  # an odd side has one even pixel more: its partner is a zero
            shifted = F.pad(shifted, (0, x.shape[3] % 2, 0, x.shape[2] % 2))
        return torch.cat([self.even(x), self.odd(shifted)], dim=1)

    def join(self, even: Tensor, odd: Tensor) -> Tensor:
        """Return the output of :meth:`forward`, given the :func:`halves` of the rectified and tapped input."""
        pairs = ((even, self.even), (odd, self.odd))
        rows = [F.linear(x.permute(0, 2, 3, 1), conv.weight.flatten(1)) for x, conv in pairs]
        out: Tensor = self.bn(torch.cat(rows, dim=3).permute(0, 3, 1, 2))
        return out


SAFE_CHANNELS = 16
"""Fewest input channels for which the weight gradient of a strided 1x1 convolution is safe on every CPU.

With fewer channels than a vector register holds (8 with AVX2), oneDNN writes out of bounds in channels-last layout (its
issue 6035).
"""


def halves(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the even pixels of [B, C, H, W] and the odd pixels (both coordinates), zero-padded at odd sides.

    Both are [B, C, ceil(H / 2), ceil(W / 2)].
    """
    padded = F.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2))
    return padded[:, :, ::2, ::2], padded[:, :, 1::2, 1::2]


def relu_conv_bn(channels_in: int, channels_out: int, affine: bool) -> ConvBlock:
    """Return the 1x1 convolution block that preprocesses a cell's input."""
    return ConvBlock([nn.Conv2d(channels_in, channels_out, 1, bias=False)], affine)


def kernel_size(name: str) -> int:
    """Return k for a primitive whose name ends in ``kxk``."""
    return int(name.rsplit("x", 1)[-1])


def edge_module(name: str, channels: int, stride: int, activation: Activation = "gelu") -> nn.Module | None:
    """Return the module of a primitive on one supernet edge; None if :class:`MixedNode` evaluates it without one."""
    identity = name == "skip_connect" and stride == 1
    fused = name == "none" or name.startswith(("sep_conv", "dil_conv")) or name.endswith("pool_3x3")
    return None if identity or fused else primitive(name, channels, stride, False, activation)


def primitive(
    name: str, channels: int, stride: int, affine: bool = True, activation: Activation = "gelu"
) -> nn.Module:
    """Return the primitive ``name`` for a node of ``channels`` channels; ``activation`` is that of an MLP.

    Raises:
        SpaceError: the primitive is unknown, or does not support ``stride``.
    """
    if name not in PRIMITIVES:
        raise SpaceError(f"a primitive must be one of {', '.join(PRIMITIVES)}, but got {name!r}")
    chosen = {"activation": activation} if name in MLP_RATIOS else {}
    return PRIMITIVES[name](channels, stride, affine, **chosen)


def _depthwise(channels: int, kernel: int, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    padding = kernel // 2 * dilation
    return nn.Conv2d(
        channels, channels, kernel, stride, padding, dilation=dilation, groups=channels, bias=False
    )  # fmt: skip


def _sep_conv(kernel: int, channels: int, stride: int, affine: bool) -> nn.Module:
    def half(step: int) -> ConvBlock:
        pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        return ConvBlock([_depthwise(channels, kernel, step), pointwise], affine)

    return nn.Sequential(half(stride), half(1))


def _dil_conv(kernel: int, channels: int, stride: int, affine: bool) -> nn.Module:
    pointwise = nn.Conv2d(channels, channels, 1, bias=False)
    return ConvBlock([_depthwise(channels, kernel, stride, dilation=2), pointwise], affine)


def _dw_conv(channels: int, stride: int, affine: bool) -> nn.Module:
    return ConvBlock([_depthwise(channels, 3, stride)], affine)


def _conv_7x1_1x7(channels: int, stride: int, affine: bool) -> nn.Module:
    wide = nn.Conv2d(channels, channels, (1, 7), (1, stride), (0, 3), bias=False)
    tall = nn.Conv2d(channels, channels, (7, 1), (stride, 1), (3, 0), bias=False)
    return ConvBlock([wide, tall], affine)


def _max_pool(channels: int, stride: int, affine: bool) -> nn.Module:
    return nn.MaxPool2d(3, stride, 1)


def _avg_pool(channels: int, stride: int, affine: bool) -> nn.Module:
    return nn.AvgPool2d(3, stride, 1, count_include_pad=False)


def _skip_connect(channels: int, stride: int, affine: bool) -> nn.Module:
    return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels, affine)


def _attention(name: str, window: int | None, channels: int, stride: int, affine: bool) -> nn.Module:
    return SelfAttention(channels, HEADS[name], stride, affine, window)


def _mlp(name: str, channels: int, stride: int, affine: bool, activation: Activation) -> nn.Module:
    if stride != 1:
        raise SpaceError(f"an MLP keeps height and width, but got stride {stride}")
    return MLP(channels, MLP_RATIOS[name], affine, activation)


PRIMITIVES: dict[str, Callable[..., nn.Module]] = {
    "max_pool_3x3": _max_pool,
    "avg_pool_3x3": _avg_pool,
    "skip_connect": _skip_connect,
    "sep_conv_3x3": partial(_sep_conv, 3),
    "sep_conv_5x5": partial(_sep_conv, 5),
    "sep_conv_7x7": partial(_sep_conv, 7),
    "dil_conv_3x3": partial(_dil_conv, 3),
    "dil_conv_5x5": partial(_dil_conv, 5),
    "conv_7x1_1x7": _conv_7x1_1x7,
    "dw_conv_3x3": _dw_conv,
    "self_attention": partial(_attention, "self_attention", None),
    "self_attention_2h": partial(_attention, "self_attention_2h", None),
    "self_attention_4h": partial(_attention, "self_attention_4h", None),
    "window_attention": partial(_attention, "window_attention", WINDOW),
    "mlp_2x": partial(_mlp, "mlp_2x"),
    "mlp_4x": partial(_mlp, "mlp_4x"),
}
"""All primitives of discrete networks, called with channels, stride and affine; those in ``MLP_RATIOS`` with their
activation, too. ``sep_conv_7x7`` and ``conv_7x1_1x7`` occur in published genotypes only."""
