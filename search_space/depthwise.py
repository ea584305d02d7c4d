"""Depthwise convolution with a backward pass that is fast on the CPU as well.

Two facts about the CPU kernels make the difference (benchmarks/results has the table): the weight gradient of a
5x5 kernel costs forty times that of a 3x3 one, and a dilated kernel has no fast backward pass at all. So the 5x5
weight gradient is assembled from four 3x3 ones, and a dilation of 2 becomes an ordinary convolution on the four
interleaved sub-images (:func:`space_to_batch`). On a GPU PyTorch's own kernels are used.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def depthwise_conv(x: Tensor, weight: Tensor, stride: int = 1, dilation: int = 1) -> Tensor:
    """Convolve each channel with its own kernel, zero-padded so that stride 1 keeps height and width.

    Args:
        x: [B, C, H, W].
        weight: [C, 1, k, k], k odd.
    """
    kernel = weight.shape[-1]
    if kernel == 5 and stride == 1 and dilation == 1 and x.device.type == "cpu":
        out: Tensor = _Depthwise5x5.apply(x, weight.to(x.dtype))
        return out
    padding = kernel // 2 * dilation
    return F.conv2d(x, weight, stride=stride, padding=padding, dilation=dilation, groups=x.shape[1])


def space_to_batch(x: Tensor) -> Tensor:
    """Split [B, C, H, W] (H and W even) into its four interleaved sub-images [4 B, C, H/2, W/2]."""
    batch, channels, height, width = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(batch, height // 2, 2, width // 2, 2, channels)
    parts = rows.permute(2, 4, 0, 1, 3, 5).reshape(4 * batch, height // 2, width // 2, channels)
    return parts.permute(0, 3, 1, 2)


def batch_to_space(x: Tensor) -> Tensor:
    """Undo :func:`space_to_batch`."""
    parts, channels, height, width = x.shape
    batch = parts // 4
    rows = x.permute(0, 2, 3, 1).reshape(2, 2, batch, height, width, channels)
    whole = rows.permute(2, 3, 0, 4, 1, 5).reshape(batch, 2 * height, 2 * width, channels)
    return whole.permute(0, 3, 1, 2)


class _Depthwise5x5(torch.autograd.Function):
    """Stride 1, no dilation; x: [B, C, H, W], weight: [C, 1, 5, 5]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, padding=2, groups=x.shape[1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        x, weight = ctx.saved_tensors
        d_x = d_weight = None
        if ctx.needs_input_grad[0]:
            d_x = _convolution_backward(gradient, x, weight, padding=2, which=[True, False, False])[0]
        if ctx.needs_input_grad[1]:
            d_weight = _weight_gradient_5x5(x, gradient)
        return d_x, d_weight


def _weight_gradient_5x5(x: Tensor, gradient: Tensor) -> Tensor:
    """Assemble the 5x5 weight gradient from four overlapping 3x3 ones (kernel rows 0-2 and 2-4, columns alike)."""
    channels, height, width = x.shape[1:]
    padded = F.pad(x, (2, 2, 2, 2))
    whole = x.new_empty(channels, 1, 5, 5)
    kernel = x.new_zeros(channels, 1, 3, 3)
    for row in (0, 2):
        for column in (0, 2):
            window = padded[:, :, row : row + height + 2, column : column + width + 2]
            part = _convolution_backward(gradient, window, kernel, padding=0, which=[False, True, False])[1]
            whole[:, :, row : row + 3, column : column + 3] = part
    return whole


def _convolution_backward(
    gradient: Tensor, x: Tensor, weight: Tensor, padding: int, which: list[bool]
) -> Any:
    contiguous = {"memory_format": torch.channels_last}
    return torch.ops.aten.convolution_backward(
        gradient.contiguous(**contiguous), x.contiguous(**contiguous), weight, None, [1, 1], [padding] * 2, [1, 1],
        False, [0, 0], x.shape[1], which,
    )  # fmt: skip
