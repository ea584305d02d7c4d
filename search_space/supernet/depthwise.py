"""Depthwise convolution with a fast backward pass on the CPU.

PyTorch's CPU kernels have three limits. The weight gradient is fast only for kernels of up to three columns that are no
larger than the (padded) map; a 5x5 kernel takes ten times as long. Dilated kernels have no fast backward pass. The
input gradient is slower than the equivalent convolution with the flipped kernel.

So a 5x5 weight gradient is computed as a 5x3 and a 5x2 one on a padded map, and callers replace a dilation of 2 by an
ordinary convolution on four interleaved sub-images (:func:`space_to_batch`). Gradients are exact up to rounding. On a
GPU, PyTorch's own kernels are used.

Shapes: B batch, C channels, H height, W width, k kernel size.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import FunctionCtx
from typing_extensions import override


def depthwise_conv(x: Tensor, weight: Tensor, stride: int = 1, dilation: int = 1) -> Tensor:
    """Convolve each channel of ``x`` with its own kernel, zero-padded so that stride 1 keeps height and width.

    Args:
        x: [B, C, H, W].
        weight: [C, 1, k, k], k odd.
        stride: in both directions.
        dilation: in both directions.

    Returns:
        [B, C, ceil(H / stride), ceil(W / stride)].
    """
    if dilation == 1 and x.device.type == "cpu":
        if stride == 1 and (unused := weight.shape[-1] // 2 - max(x.shape[2:]) + 1) > 0:
            weight = weight[:, :, unused:-unused, unused:-unused]  # the rest reads only padding
        out: Tensor = _Depthwise.apply(x, weight.to(x.dtype), stride)
        return out
    padding = weight.shape[-1] // 2 * dilation
    return F.conv2d(x, weight, stride=stride, padding=padding, dilation=dilation, groups=x.shape[1])


def space_to_batch(x: Tensor) -> Tensor:
    """Split [B, C, H, W] (H and W even) into four interleaved sub-images [4 B, C, H/2, W/2]."""
    batch, channels, height, width = x.shape
    pixels = x.permute(0, 2, 3, 1).reshape(batch, height // 2, 2, width // 2, 2, channels)
    parts = pixels.permute(2, 4, 0, 1, 3, 5).reshape(4 * batch, height // 2, width // 2, channels)
    return parts.permute(0, 3, 1, 2)


def batch_to_space(x: Tensor) -> Tensor:
    """Undo :func:`space_to_batch`: [4 B, C, H/2, W/2] -> [B, C, H, W]."""
    parts, channels, height, width = x.shape
    batch = parts // 4
    pixels = x.permute(0, 2, 3, 1).reshape(2, 2, batch, height, width, channels)
    whole = pixels.permute(2, 3, 0, 4, 1, 5).reshape(batch, 2 * height, 2 * width, channels)
    return whole.permute(0, 3, 1, 2)


class _Context(FunctionCtx):
    saved_tensors: tuple[Tensor, Tensor]
    needs_input_grad: tuple[bool, ...]
    stride: int


class _Depthwise(torch.autograd.Function):
    """Depthwise convolution without dilation on the CPU; x [B, C, H, W], weight [C, 1, k, k]."""

    @staticmethod
    @override
    def forward(ctx: _Context, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2, groups=x.shape[1])

    @staticmethod
    @override
    def backward(ctx: _Context, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        padding = weight.shape[-1] // 2
        d_x = d_weight = None
        if ctx.needs_input_grad[0] and ctx.stride == 1:
            d_x = F.conv2d(gradient, weight.flip(2, 3), padding=padding, groups=x.shape[1])
        elif ctx.needs_input_grad[0]:
            d_x, _, _ = _backward(x, gradient, weight, (padding, padding), ctx.stride, (True, False, False))
        if ctx.needs_input_grad[1]:
            d_weight = _weight_gradient(x, gradient, weight, ctx.stride)
        return d_x, d_weight, None


def _weight_gradient(x: Tensor, gradient: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Return the gradient of ``weight``; a wide kernel is split into parts of at most three columns."""
    kernel = weight.shape[-1]
    padding = kernel // 2
    if kernel <= min(FAST_COLUMNS, *x.shape[2:]):
        return _kernel_gradient(x, gradient, weight, padding, stride)
    parts = []
    for first in range(0, kernel, FAST_COLUMNS):
        columns = weight[..., first : first + FAST_COLUMNS]
        read_width = (gradient.shape[3] - 1) * stride + columns.shape[3]
        left = padding - first
        part = F.pad(x, (left, read_width - left - x.shape[3], padding, padding))
        parts.append(_kernel_gradient(part, gradient, columns, 0, stride))
    return torch.cat(parts, dim=3)


FAST_COLUMNS = 3
"""Widest kernel whose weight gradient has a fast path on the CPU, if it is not larger than the map."""


def _kernel_gradient(x: Tensor, gradient: Tensor, kernel: Tensor, padding: int, stride: int) -> Tensor:
    x = x.contiguous(memory_format=torch.channels_last)
    _, d_kernel, _ = _backward(x, gradient, kernel, (padding, padding), stride, (False, True, False))
    return d_kernel


def _backward(
    x: Tensor, gradient: Tensor, kernel: Tensor, padding: tuple[int, int], stride: int,
    mask: tuple[bool, bool, bool],
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Return the gradients of input, kernel and bias; those that ``mask`` excludes are undefined (None)."""
    gradients: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.convolution_backward(
        gradient, x, kernel, None, [stride, stride], padding, [1, 1], False, [0, 0], x.shape[1], mask
    )
    return gradients
