"""Measures of a feature map: the plain formulas, and autograd functions with hand-written gradients.

The functions return the map and its measure, so that the gradient of the measure is added to that of the map in one
operation: a measure costs a few passes over the map at most, on the CPU one forward and one backward.

Shapes: B batch; ``...`` any shape; n features of one image's map; N features of all.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import FunctionCtx
from typing_extensions import override

from trials.device.memory_order import in_memory_order


def l1(x: Tensor) -> Tensor:
    """Return the mean absolute value of ``x`` [...], a scalar."""
    return x.abs().mean()


def hoyer(x: Tensor) -> Tensor:
    """Return the Hoyer-square measure (sum|x|)^2 / (n sum x^2) of each image's map, averaged over the batch; a scalar.

    ``x`` is [B, ...]. The measure of one image lies between 1/n and 1; a map of zeros counts as 0. The measure is that
    of Yang et al., DeepHoyer, ICLR 2020, applied to the activations of each image as by Kurtz et al., ICML 2020.

    It is homogeneous of degree 0, so over a whole batch it would depend on which images share the batch. Averaged over
    images, two ranks with half a batch each have the same mean as one rank.
    """
    of_image = tuple(range(1, x.dim()))
    square = x.square().sum(of_image) + torch.finfo(x.dtype).tiny
    return (x.abs().sum(of_image).square() / square).mean() / x[0].numel()


def tl1(x: Tensor) -> Tensor:
    """Return the mean of the transformed l1 measure 2|x| / (1 + |x|) of ``x`` [...], a scalar.

    Zhang and Xin, 2018, with a = 1; applied to activations in arXiv 2405.19652. It is proportional to l1 for small
    features and saturates for large ones, so it pushes small features to zero and leaves large ones as they are.
    """
    magnitude = x.abs()
    return (2 * magnitude / (1 + magnitude)).mean()


MEASURES: dict[str, Callable[[Tensor], Tensor]] = {"l1": l1, "hoyer": hoyer, "tl1": tl1}
"""The plain formulas by name."""


class _Context(FunctionCtx):
    saved_tensors: tuple[Tensor, ...]
    rectified: bool
    elements: int


class _WithL1(torch.autograd.Function):
    """Returns the map and its mean absolute value over all N elements; d mean|x| / dx = sign(x) / N.

    After a ReLU |x| = x, and the gradient is taken as 1 / N everywhere: where x is zero, the ReLU blocks it.
    """

    @staticmethod
    @override
    def forward(ctx: _Context, x: Tensor, rectified: bool) -> tuple[Tensor, Tensor]:
        ctx.rectified, ctx.elements = rectified, x.numel()
        if not rectified:
            ctx.save_for_backward(x)
        magnitudes = x if rectified else x.abs()
        return x.view_as(x), magnitudes.sum() / x.numel()

    @staticmethod
    @override
    def backward(ctx: _Context, gradient: Tensor, of_mean: Tensor) -> tuple[Tensor, None]:
        of_element = of_mean / ctx.elements
        if ctx.rectified:
            return gradient + of_element, None
        sign = ctx.saved_tensors[0].sgn()
        if of_element.is_cuda:  # `item` would wait for the GPU
            return torch.addcmul(gradient, sign, of_element), None
        return torch.add(gradient, sign, alpha=of_element.item()), None


class _WithHoyer(torch.autograd.Function):
    """Returns the map and its Hoyer-square measure, averaged over the B images.

    With S = sum|x| and Q = sum x^2 of one image's map,

    d measure / dx = 2 (S / Q sign(x) - (S / Q)^2 x) / (n B).
    """

    @staticmethod
    @override
    def forward(ctx: _Context, x: Tensor, rectified: bool) -> tuple[Tensor, Tensor]:
        dense = _dense(x)
        magnitude, square = _sums_of_images(dense)
        square = square + torch.finfo(x.dtype).tiny
        ctx.elements = x.numel()
        ctx.save_for_backward(dense, magnitude / square)
        return x.view_as(x), (magnitude.square() / square).sum() / x.numel()

    @staticmethod
    @override
    def backward(ctx: _Context, gradient: Tensor, of_mean: Tensor) -> tuple[Tensor, None]:
        x, ratio = ctx.saved_tensors
        scale = 2 * of_mean / ctx.elements
        of_sign, of_value = scale * ratio, -scale * ratio.square()  # [B]
        features = in_memory_order(x)
        if features is None:
            shape = (-1, *[1] * (x.dim() - 1))
            gradient = torch.addcmul(gradient, x, of_value.view(shape))
            return gradient.addcmul_(x.sgn(), of_sign.view(shape)), None
        from trials.feature_maps import measure_kernels

        out, like = torch.empty_like(x), _laid_out_like(x, gradient)
        rows = [_rows(map_) for map_ in (like, x, out)]
        measure_kernels.add_hoyer_gradient(rows[0], rows[1], of_sign.numpy(), of_value.numpy(), rows[2])
        return out, None


class _WithTransformedL1(torch.autograd.Function):
    """Returns the map and the mean over all N elements of 2|x| / (1 + |x|).

    d measure / dx = 2 sign(x) / ((1 + |x|)^2 N).
    """

    @staticmethod
    @override
    def forward(ctx: _Context, x: Tensor, rectified: bool) -> tuple[Tensor, Tensor]:
        dense = _dense(x)
        ctx.elements = x.numel()
        ctx.save_for_backward(dense)
        features = in_memory_order(dense)
        if features is None:
            return x.view_as(x), tl1(dense)
        from trials.feature_maps import measure_kernels

        return x.view_as(x), x.new_tensor(measure_kernels.transformed_l1_sum(features) / x.numel())

    @staticmethod
    @override
    def backward(ctx: _Context, gradient: Tensor, of_mean: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        of_element = of_mean / ctx.elements
        features = in_memory_order(x)
        if features is None:
            slope = x.sgn() / (1 + x.abs()).square_()
            return torch.addcmul(gradient, slope, 2 * of_element), None
        from trials.feature_maps import measure_kernels

        out, like = torch.empty_like(x), _laid_out_like(x, gradient)
        flat = [_rows(map_).reshape(-1) for map_ in (like, x, out)]
        measure_kernels.add_transformed_l1_gradient(flat[0], flat[1], np.float32(of_element.item()), flat[2])
        return out, None


FUSED: dict[str, type[torch.autograd.Function]] = {
    "l1": _WithL1,
    "hoyer": _WithHoyer,
    "tl1": _WithTransformedL1,
}
"""The same with hand-written gradients."""


def _dense(x: Tensor) -> Tensor:
    """Return ``x``, or a copy if it is neither channels first nor channels last: queries are parts of a larger map."""
    channels_last = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
    return x if channels_last or x.is_contiguous() else x.contiguous()


def _laid_out_like(x: Tensor, gradient: Tensor) -> Tensor:
    """Return ``gradient`` in the memory layout of ``x``."""
    return gradient if gradient.stride() == x.stride() else torch.empty_like(x).copy_(gradient)


def _rows(x: Tensor) -> NDArray[np.float32]:
    """Return a dense float32 map [B, ...] as rows [B, n] in memory order, which share its memory."""
    features = in_memory_order(x)
    assert features is not None
    return features.reshape(len(x), -1)


def _sums_of_images(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the sums of |x| and of x^2 over the map of each image of ``x`` [B, ...]: [B] each."""
    if in_memory_order(x) is None:
        rows = _image_rows(x)
        return torch.linalg.vector_norm(rows, 1, dim=1), (rows[:, None] @ rows[:, :, None])[:, 0, 0]
    from trials.feature_maps import measure_kernels

    magnitude, square = x.new_empty(len(x)), x.new_empty(len(x))
    measure_kernels.sums_of_images(_rows(x), magnitude.numpy(), square.numpy())
    return magnitude, square


def _image_rows(x: Tensor) -> Tensor:
    """View the maps [B, ...] as rows [B, n], in memory order where that avoids a copy."""
    return (x.permute(0, 2, 3, 1) if x.dim() == 4 and not x.is_contiguous() else x).flatten(1)
