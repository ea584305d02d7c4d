"""Depthwise convolution with a backward pass that is fast on the CPU as well.

Three facts about the CPU kernels make the difference (measured in ``benchmarks/depthwise.py``): the weight gradient has
a fast path for kernels up to three columns wide only, a 5x5 one costs ten times as much; a dilated kernel has no fast
backward pass at all; and the gradient of the input is cheaper as what it is, a convolution with the flipped kernel. So
a 5x5 weight gradient is assembled from two 5x3 ones, and a dilation of 2 becomes an ordinary convolution on the four
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
    if stride == 1 and dilation == 1 and x.device.type == "cpu":
        out: Tensor = _Depthwise.apply(x, weight.to(x.dtype))
        return out
    padding = weight.shape[-1] // 2 * dilation
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


class _Depthwise(torch.autograd.Function):
    """Stride 1, no dilation, on the CPU; x: [B, C, H, W], weight: [C, 1, k, k]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, padding=weight.shape[-1] // 2, groups=x.shape[1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        x, weight = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        d_x = d_weight = None
        if ctx.needs_input_grad[0]:
            d_x = F.conv2d(gradient, weight.flip(2, 3), padding=weight.shape[-1] // 2, groups=x.shape[1])
        if ctx.needs_input_grad[1]:
            d_weight = _weight_gradient(x, gradient, weight.shape[-1])
        return d_x, d_weight


SMALL = 100_000
"""Elements of a map below which one slow kernel is faster than two fast ones and the copies that they need."""


def _weight_gradient(x: Tensor, gradient: Tensor, kernel: int) -> Tensor:
    """Return the weight gradient [C, 1, k, k]; that of a 5x5 kernel in two parts, columns 0-2 and 2-4."""
    channels, width = x.shape[1], x.shape[3]
    if kernel != 5 or x.numel() < SMALL:
        return _columns(x, gradient, kernel, kernel, kernel // 2)
    padded = F.pad(x, (2, 2))
    left = _columns(padded[..., : width + 2], gradient, 5, 3, 0)
    right = _columns(padded[..., 2:], gradient, 5, 3, 0)
    return torch.cat([left, right[..., 1:]], dim=3).view(channels, 1, 5, 5)


def _columns(x: Tensor, gradient: Tensor, rows: int, columns: int, padding: int) -> Tensor:
    """Return the weight gradient of a rows x columns kernel whose columns are padded by ``padding``."""
    kernel = x.new_empty(x.shape[1], 1, rows, columns)
    return torch.ops.aten.convolution_backward(
        gradient,
        x.contiguous(memory_format=torch.channels_last),
        kernel,
        None,
        [1, 1],
        [rows // 2, padding],
        [1, 1],
        False,
        [0, 0],
        x.shape[1],
        [False, True, False],
    )[1]
