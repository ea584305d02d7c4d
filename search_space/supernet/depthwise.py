"""Depthwise convolution with a backward pass that is fast on the CPU as well.

Three facts about the CPU kernels make the difference: the weight gradient has a fast path only for kernels up to three
columns wide that are no larger than the (padded) map, beside it a 5x5 one costs ten times as much; a dilated kernel has
no fast backward pass at all; and the gradient of the input is cheaper as what it is, a convolution with the flipped
kernel. So a 5x5 weight gradient is assembled from a 5x3 and a 5x2 one on a map padded beforehand, and a dilation of 2
becomes an ordinary convolution on the four interleaved sub-images (:func:`space_to_batch`). On a GPU PyTorch's own
kernels are used.
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
    if dilation == 1 and x.device.type == "cpu":
        if stride == 1 and (unseen := weight.shape[-1] // 2 - max(x.shape[2:]) + 1) > 0:
            weight = weight[
                :, :, unseen:-unseen, unseen:-unseen
            ]  # the others lie beyond the map wherever they are
        out: Tensor = _Depthwise.apply(x, weight.to(x.dtype), stride)
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
    """No dilation, on the CPU; x: [B, C, H, W], weight: [C, 1, k, k]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2, groups=x.shape[1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        x, weight = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        padding = weight.shape[-1] // 2
        d_x = d_weight = None
        if ctx.needs_input_grad[0] and ctx.stride == 1:
            d_x = F.conv2d(gradient, weight.flip(2, 3), padding=padding, groups=x.shape[1])
        elif ctx.needs_input_grad[0]:
            d_x = _backward(x, gradient, weight, (padding, padding), ctx.stride, (True, False, False))[0]
        if ctx.needs_input_grad[1]:
            d_weight = _weight_gradient(x, gradient, weight, ctx.stride)
        return d_x, d_weight, None


def _weight_gradient(x: Tensor, gradient: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Return the gradient of ``weight``, that of a wide kernel from parts of at most three columns."""
    kernel = weight.shape[-1]
    padding = kernel // 2
    if kernel <= min(FAST_COLUMNS, *x.shape[2:]):
        return _columns(x, gradient, weight, padding, stride)
    parts = []
    for first in range(0, kernel, FAST_COLUMNS):
        columns = weight[..., first : first + FAST_COLUMNS]
        seen = (gradient.shape[3] - 1) * stride + columns.shape[3]
        left = padding - first
        part = F.pad(x, (left, seen - left - x.shape[3], padding, padding))
        parts.append(_columns(part, gradient, columns, 0, stride))
    return torch.cat(parts, dim=3)


FAST_COLUMNS = 3
"""Widest kernel whose weight gradient has a fast path; it must not be larger than the map either."""


def _columns(x: Tensor, gradient: Tensor, kernel: Tensor, padding: int, stride: int) -> Tensor:
    x = x.contiguous(memory_format=torch.channels_last)
    return _backward(x, gradient, kernel, (padding, padding), stride, (False, True, False))[1]


def _backward(
    x: Tensor, gradient: Tensor, kernel: Tensor, padding: tuple[int, int], stride: int,
    wanted: tuple[bool, bool, bool],
) -> Any:  # fmt: skip
    """Return the gradients of input, kernel and bias that are ``wanted``."""
    return torch.ops.aten.convolution_backward(
        gradient, x, kernel, None, [stride, stride], padding, [1, 1], False, [0, 0], x.shape[1], wanted
    )
