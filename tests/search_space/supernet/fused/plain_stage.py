"""A source stage by the textbook: one operation after the other, differentiated by autograd."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from search_space.normalization import EPS
from search_space.primitives import halves, kernel_size
from search_space.supernet.fused.plan import Geometry, SourcePlan


@dataclass
class Inputs:
    """Random inputs of a stage, and the gradient of its outputs, [E, n, C]."""

    plan: SourcePlan
    x: Tensor
    base: Tensor
    weights: Tensor
    gamma: Tensor
    gradient: Tensor

    @staticmethod
    def of(plan: SourcePlan, side: tuple[int, int], dtype: torch.dtype, batch: int = 2) -> Inputs:
        """Return inputs for a source of height and width ``side``; parameters are float32 or better."""
        geometry = Geometry.of(torch.empty(1, 1, *side), plan.stride)
        n = batch * geometry.out_height * geometry.out_width
        x = torch.randn(batch, plan.channels, *side).contiguous(memory_format=torch.channels_last)
        outs = [torch.randn(plan.edges, n, plan.channels) for _ in range(2)]
        weights = torch.randn(sum(plan.sections))
        gamma = torch.rand(plan.edges, len(plan.primitives))
        wide = torch.promote_types(dtype, torch.float32)
        return Inputs(
            plan, x.to(dtype), outs[0].to(dtype), weights.to(wide), gamma.to(wide), outs[1].to(dtype)
        )

    def differentiable(self, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return x, base, weights and gamma as leaves of ``dtype``."""
        x, base, weights, gamma = (
            t.detach().clone().to(dtype).requires_grad_()
            for t in (self.x, self.base, self.weights, self.gamma)
        )
        return x, base, weights, gamma


def plain_stage(plan: SourcePlan, x: Tensor, base: Tensor, weights: Tensor, gamma: Tensor) -> Tensor:
    """Return the sums of the nodes that read the source, [E, n, C]."""
    first, second, middle, last = weights.split(plan.sections)
    depthwise, seconds = _kernels(plan, first), _kernels(plan, second, plan.separable)
    matrices = iter(last.view(-1, plan.channels, plan.channels))
    middles = iter(middle.view(-1, plan.channels, plan.channels))
    outs: list[list[Tensor]] = [[] for _ in range(plan.edges)]

    def add(edge: int, name: str, term: Tensor) -> None:
        outs[edge].append(gamma[edge, plan.primitives.index(name)] * term)

    separable = {}
    for name in plan.separable:
        for edge in range(plan.edges):
            z = _depthwise(x.relu(), next(depthwise), plan.stride)
            y = norm(F.conv2d(z, next(middles)[:, :, None, None])).relu()
            separable[name, edge] = _depthwise(y, next(seconds))
    for name in plan.dilated:
        for edge in range(plan.edges):
            z = _depthwise(x.relu(), next(depthwise), plan.stride, 2)
            add(edge, name, norm(F.conv2d(z, next(matrices)[:, :, None, None])))
    if plan.factorized:
        even, odd = halves(x.relu())
        for edge in range(plan.edges):
            matrix = next(matrices)[:, :, None, None]
            half = plan.channels // 2
            parts = [F.conv2d(even, matrix[:half]), F.conv2d(odd, matrix[half:])]
            add(edge, "skip_connect", norm(torch.cat(parts, dim=1)))
    for (name, edge), z in separable.items():
        add(edge, name, norm(F.conv2d(z, next(matrices)[:, :, None, None])))
    for edge in range(plan.edges):
        if "max_pool_3x3" in plan.pools:
            add(edge, "max_pool_3x3", norm(F.max_pool2d(x, 3, plan.stride, 1)))
        if "avg_pool_3x3" in plan.pools:
            add(edge, "avg_pool_3x3", norm(F.avg_pool2d(x, 3, plan.stride, 1, count_include_pad=False)))
        if plan.skip_column >= 0:
            add(edge, "skip_connect", x)
    return torch.stack([base[edge] + rows(sum(terms[1:], terms[0])) for edge, terms in enumerate(outs)])


def norm(x: Tensor) -> Tensor:
    """Return batch norm without affine parameters."""
    return F.batch_norm(x, None, None, training=True, eps=EPS)


def rows(x: Tensor) -> Tensor:
    """Return a map [B, C, H, W] as rows [B H W, C]."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _depthwise(x: Tensor, kernel: Tensor, stride: int = 1, dilation: int = 1) -> Tensor:
    padding = kernel.shape[-1] // 2 * dilation
    return F.conv2d(x, kernel, None, stride, padding, dilation, groups=x.shape[1])


def _kernels(plan: SourcePlan, flat: Tensor, names: tuple[str, ...] | None = None) -> Iterator[Tensor]:
    """Yield the depthwise kernels [C, 1, k, k] of ``names`` (default: all that read the source), edge by edge."""
    for name in plan.separable + plan.dilated if names is None else names:
        size = kernel_size(name)
        for _ in range(plan.edges):
            length = plan.channels * size * size
            yield flat[:length].view(plan.channels, 1, size, size)
            flat = flat[length:]
