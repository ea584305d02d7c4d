"""The mixed operation, all incoming edges of one node at a time: the hot spot of a supernet step.

The textbook writes one module per edge and primitive. Here a node evaluates everything that enters it together:

* what depends on the source node alone (its ReLU, its pools and their batch norms, its interleaved sub-images) is
  computed once per *source*, however many nodes read it (:class:`Source`);
* every primitive that ends in 1x1 convolution, batch norm and its weight goes through one
  :class:`~search_space.projection.ProjectNorm`, which adds up all of a node's terms without storing them;
* ``none`` takes its share of the softmax and costs nothing.

Shapes: B batch, C channels, H, W; E incoming edges; P primitives.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_space.depthwise import batch_to_space, depthwise_conv, space_to_batch
from search_space.feature_map import FeatureMap
from search_space.normalization import BatchNorm, recomputed
from search_space.primitives import edge_module, kernel_size
from search_space.projection import ProjectNorm


class SourceForms(nn.Module):
    """What depends on a source node alone: its tap, and its pools with their batch norms.

    Args:
        primitives: the names of the space.
        channels: C.
        stride: stride of all edges that leave this node.
        recompute: pool again in the backward pass; what a pool keeps is a third of what its source keeps.
    """

    def __init__(
        self, primitives: Sequence[str], channels: int, stride: int, recompute: bool = False
    ) -> None:
        super().__init__()
        self.stride, self.recompute = stride, recompute
        self.input = FeatureMap(rectified=True)
        self.pools = nn.ModuleDict(
            {name: Pool(name, channels, stride) for name in primitives if name.endswith("pool_3x3")}
        )

    def forward(self, x: Tensor) -> Source:
        """Return the forms of the map ``x`` [B, C, H, W]."""
        return Source(x, self)


class Source:
    """A node's map as the edges that leave it need it; every form is made once, when first asked for."""

    def __init__(self, x: Tensor, forms: SourceForms) -> None:
        self.x, self.stride, self._forms = x, forms.stride, forms
        self._pooled: dict[str, Tensor] = {}

    @cached_property
    def rectified(self) -> Tensor:
        out: Tensor = self._forms.input(F.relu(self.x))
        return out

    @cached_property
    def strided(self) -> Tensor:
        """Every second pixel of the rectified map: all that a dilated convolution of stride 2 sees."""
        return self.rectified[:, :, ::2, ::2].contiguous(memory_format=torch.channels_last)

    @cached_property
    def folded(self) -> Tensor:
        """The rectified map as four interleaved sub-images."""
        return space_to_batch(self.rectified)

    def pooled(self, name: str) -> Tensor:
        """Return the normalized max or average pool."""
        if name not in self._pooled:
            pool = self._forms.pools[name]
            self._pooled[name] = recomputed(pool, self.x) if self._forms.recompute else pool(self.x)
        return self._pooled[name]

    @property
    def foldable(self) -> bool:
        return self.stride == 1 and self.x.shape[2] % 2 == 0 and self.x.shape[3] % 2 == 0


class Pool(nn.Module):
    """3x3 pooling and its batch norm without affine parameters."""

    def __init__(self, name: str, channels: int, stride: int) -> None:
        super().__init__()
        self.maximum, self.stride = name == "max_pool_3x3", stride
        self.norm = BatchNorm(channels, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.maximum:
            pooled = F.max_pool2d(x, 3, self.stride, 1)
        else:
            pooled = F.avg_pool2d(x, 3, self.stride, 1, count_include_pad=False)
        out: Tensor = self.norm(pooled)
        return out


class MixedNode(nn.Module):
    """Everything that enters one node: sum over its E edges and the P primitives on each.

    Args:
        primitives: the P names, ``none`` among them.
        channels: C.
        strides: stride of each of the E edges.
    """

    def __init__(self, primitives: Sequence[str], channels: int, strides: Sequence[int]) -> None:
        super().__init__()
        self.primitives, self.channels, self.strides = tuple(primitives), channels, tuple(strides)
        edges = len(strides)
        self.separable = tuple(name for name in primitives if name.startswith("sep_conv"))
        self.dilated = tuple(name for name in primitives if name.startswith("dil_conv"))
        self.depthwise = nn.ParameterDict()
        for name in self.separable + self.dilated:
            self.depthwise[name] = _new_kernels(edges, channels, kernel_size(name))
        for name in self.separable:
            self.depthwise[f"{name}_second"] = _new_kernels(edges, channels, kernel_size(name))
        if self.separable:
            self.middle = ProjectNorm(edges * len(self.separable), channels)
            self.last = ProjectNorm(edges * len(self.separable), channels)
        if self.dilated:
            self.last_dilated = ProjectNorm(edges * len(self.dilated), channels)
        self.modules_on_edges = nn.ModuleDict(
            {
                f"{name}_{edge}": module
                for name in primitives
                for edge, stride in enumerate(strides)
                if (module := edge_module(name, channels, stride)) is not None
            }
        )

    def forward(self, sources: Sequence[Source], gamma: Tensor) -> Tensor:
        """Return the node's map [B, C, H', W']; ``gamma``: [E, P] weights of the primitives."""
        parts, weights = self._whole_maps(sources, gamma)
        total = _WeightedSum.apply(weights, *parts) if parts else None
        if self.separable:
            total = self.last.summed(
                self._separable_maps(sources), self._weights(gamma, self.separable), total
            )
        if self.dilated:
            total = self._add_dilated(sources, gamma, total)
        if total is None:
            raise ValueError(
                f"a space needs a primitive besides `none`, but got {', '.join(self.primitives)}"
            )
        return total

    def _weights(self, gamma: Tensor, names: Sequence[str]) -> Tensor:
        """Return the weights of ``names``, name by name and edge by edge: [len(names) E]."""
        return gamma[:, [self.primitives.index(name) for name in names]].T.reshape(-1)

    def _whole_maps(self, sources: Sequence[Source], gamma: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return the maps that are only weighted and added: identities, pools, primitives that are modules."""
        parts: list[Tensor] = []
        places: list[int] = []
        for index, name in enumerate(self.primitives):
            for edge, source in enumerate(sources):
                part = self._whole_map(name, edge, source)
                if part is not None:
                    parts.append(part)
                    places.append(edge * len(self.primitives) + index)
        return parts, gamma.reshape(-1)[places]

    def _whole_map(self, name: str, edge: int, source: Source) -> Tensor | None:
        if name.endswith("pool_3x3"):
            return source.pooled(name)
        if name == "skip_connect" and source.stride == 1:
            return source.x
        module = f"{name}_{edge}"
        return self.modules_on_edges[module](source.x) if module in self.modules_on_edges else None

    def _separable_maps(self, sources: Sequence[Source]) -> list[Tensor]:
        """Return what enters the last 1x1 convolution of each separable convolution, name by name."""
        blocks = self._blocks(sources)
        inputs = [_side_by_side([source.rectified for source in sources[block]]) for block in blocks]
        strides = [sources[block][0].stride for block in blocks]
        first = [
            depthwise_conv(x, kernels, stride)
            for name in self.separable
            for x, kernels, stride in zip(inputs, self._kernels(name, blocks), strides, strict=True)
        ]
        second = [kernels for name in self.separable for kernels in self._kernels(f"{name}_second", blocks)]
        return [depthwise_conv(x, k) for x, k in zip(self.middle.rectified(first), second, strict=True)]

    def _add_dilated(self, sources: Sequence[Source], gamma: Tensor, total: Tensor | None) -> Tensor:
        """Add the dilated convolutions: undilated ones on interleaved sub-images wherever the size is even."""
        fold = any(source.foldable for source in sources)
        blocks = self._blocks(sources)
        inputs = [_dilated_input(sources[block], fold) for block in blocks]
        strides = [sources[block][0].stride for block in blocks]
        maps = [
            _dilated_conv(x, kernels, stride, fold)
            for name in self.dilated
            for x, kernels, stride in zip(inputs, self._kernels(name, blocks), strides, strict=True)
        ]
        weights = self._weights(gamma, self.dilated)
        if not fold:
            return self.last_dilated.summed(maps, weights, total)
        added = batch_to_space(self.last_dilated.summed(maps, weights))
        return added if total is None else total + added

    def _blocks(self, sources: Sequence[Source]) -> list[slice]:
        """Group neighbouring edges of one stride so that a block is at most :data:`BLOCK_CHANNELS` wide."""
        widest = BLOCK_CHANNELS[sources[0].x.device.type == "cuda"]
        most = widest // self.channels if 2 * self.channels < widest else 1
        blocks: list[slice] = []
        for edge, source in enumerate(sources):
            last = blocks[-1] if blocks else slice(0, 0)
            if blocks and sources[last.start].stride == source.stride and edge - last.start < most:
                blocks[-1] = slice(last.start, edge + 1)
            else:
                blocks.append(slice(edge, edge + 1))
        return blocks

    def _kernels(self, name: str, blocks: Sequence[slice]) -> Sequence[Tensor]:
        """Return the depthwise kernels of each block of edges: [k C, 1, size, size]."""
        whole = self.depthwise[name]
        if len(blocks) == 1:
            return [whole]
        return whole.split([(block.stop - block.start) * self.channels for block in blocks])


BLOCK_CHANNELS = {False: 32, True: 128}
"""Widest block of edges on the CPU and on a GPU, in channels: side by side, narrow maps share their kernels."""


def _side_by_side(maps: Sequence[Tensor]) -> Tensor:
    return maps[0] if len(maps) == 1 else torch.cat(list(maps), dim=1)


def _dilated_input(sources: Sequence[Source], fold: bool) -> Tensor:
    if sources[0].stride == 2:
        return _side_by_side([source.strided for source in sources])
    return _side_by_side([source.folded if fold else source.rectified for source in sources])


def _dilated_conv(x: Tensor, kernels: Tensor, stride: int, fold: bool) -> Tensor:
    if stride == 2:
        out = depthwise_conv(x, kernels)
        return space_to_batch(out) if fold else out
    return depthwise_conv(x, kernels) if fold else depthwise_conv(x, kernels, dilation=2)


def _new_kernels(edges: int, channels: int, kernel: int) -> nn.Parameter:
    """Return [E C, 1, k, k] depthwise kernels with nn.Conv2d's initialization."""
    bound = 1 / kernel  # fan in of a depthwise kernel is k^2
    return nn.Parameter(torch.empty(edges * channels, 1, kernel, kernel).uniform_(-bound, bound))


class _WeightedSum(torch.autograd.Function):
    """sum_t gamma_t x_t over T maps of one shape in channels-last layout; gamma: [T]."""

    @staticmethod
    def forward(ctx: Any, gamma: Tensor, *maps: Tensor) -> Tensor:
        ctx.save_for_backward(gamma, *maps)
        scalars = gamma.to(maps[0].dtype).unbind()
        total = maps[0] * scalars[0]
        for one, scalar in zip(maps[1:], scalars[1:], strict=True):
            total.addcmul_(one, scalar)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        gamma, *maps = ctx.saved_tensors
        flat = _flat(gradient)
        d_gamma = None
        if ctx.needs_input_grad[0]:
            d_gamma = torch.stack([torch.dot(flat, _flat(one)) for one in maps]).to(gamma.dtype)
        scalars = gamma.to(gradient.dtype).unbind()
        needed = ctx.needs_input_grad[1:]
        return (
            d_gamma,
            *(gradient * s if wanted else None for s, wanted in zip(scalars, needed, strict=True)),
        )


def _flat(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1).reshape(-1)
