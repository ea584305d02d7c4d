"""The mixed operations of all edges into one node (DARTS, Liu et al., ICLR 2019): the hot spot of a supernet step.

A textbook implementation has one module per edge and primitive. Here a node evaluates all its incoming edges together:

* What depends only on the source node is computed once per *source*, shared by all nodes that read it
  (:class:`~search_space.supernet.sources.Source`).
* On small maps, neighbouring edges are concatenated along the channels of one map, a *block*, and share all operations.
* Every primitive that ends in a 1x1 convolution, a batch norm and its weight goes through one
  :class:`~search_space.supernet.projection.ProjectNorm`, which sums all terms of a node without storing them.
* ``none`` takes part in the softmax and costs nothing.

The result equals the textbook formula up to rounding.

Shapes: B batch, C channels, H height, W width; E incoming edges, P primitives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from typing_extensions import override

from search_space.primitives import FactorizedReduce, edge_module, halves, kernel_size
from search_space.space import Activation
from search_space.supernet.block_products import concatenated, product
from search_space.supernet.depthwise import batch_to_space, depthwise_conv, space_to_batch
from search_space.supernet.projection import ProjectNorm
from search_space.supernet.sources import Source

Block = list[slice]
"""Neighbouring edges that share one map from the first convolution on, as runs of edges of equal stride."""


class MixedNode(nn.Module):
    """One intermediate node: sum over edges e and primitives p of gamma[e, p] primitive_p(source_e).

    Args:
        primitives: names of the P primitives.
        channels: C.
        strides: the stride of each of the E edges.
        activation: function between the two layers of MLPs.

    Attributes:
        order: indices into the flattened gamma [E P]: the unfused terms, then separable and dilated convolutions.
    """

    order: Tensor

    def __init__(
        self,
        primitives: Sequence[str],
        channels: int,
        strides: Sequence[int],
        activation: Activation = "gelu",
    ) -> None:
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
        if self.separable or self.dilated:
            self.last = ProjectNorm(edges * len(self.separable + self.dilated), channels)
        self.modules_on_edges = nn.ModuleDict(
            {
                f"{name}_{edge}": module
                for name in primitives
                for edge, stride in enumerate(strides)
                if (module := edge_module(name, channels, stride, activation)) is not None
            }
        )
        self.unfused = [
            (name, edge) for name in primitives for edge in range(edges) if self._is_unfused(name, edge)
        ]
        self.register_buffer("order", self._order(), persistent=False)

    @override
    def forward(self, sources: Sequence[Source], gamma: Tensor) -> Tensor:
        """Return the node's map [B, C, H', W'].

        Args:
            sources: the E maps that enter the node.
            gamma: weights of the primitives, [E, P].

        Raises:
            ValueError: the space has no primitive besides ``none``.
        """
        weights = gamma.reshape(-1).index_select(0, self.order)
        weights, of_convolutions = weights[: len(self.unfused)], weights[len(self.unfused) :]
        total: Tensor | None = None
        if self.unfused:
            maps = (self._unfused_map(name, edge, sources[edge]) for name, edge in self.unfused)
            total = _WeightedSum.apply(weights, *maps)
        if len(of_convolutions):
            total = self._add_convolutions(sources, of_convolutions, total)
        if total is None:
            raise ValueError(
                f"a space needs a primitive besides `none`, but got {', '.join(self.primitives)}"
            )
        return total

    def weighted_maps(
        self, terms: Sequence[tuple[str, int]], sources: Sequence[Source], gamma: Tensor
    ) -> Tensor:
        """Return the weighted sum of some of the ``unfused`` terms (primitive, edge); gamma [E, P]."""
        weights = gamma.reshape(-1).index_select(0, self.order).unbind()
        maps = (self._unfused_map(name, edge, sources[edge]) for name, edge in terms)
        chosen: Tensor = torch.stack([weights[self.unfused.index(term)] for term in terms])
        total: Tensor = _WeightedSum.apply(chosen, *maps)
        return total

    def _order(self) -> Tensor:
        convolutions = [
            (name, edge) for name in self.separable + self.dilated for edge in range(len(self.strides))
        ]
        width = len(self.primitives)
        indices = [edge * width + self.primitives.index(name) for name, edge in self.unfused + convolutions]
        return torch.tensor(indices, dtype=torch.int64)

    def _is_unfused(self, name: str, edge: int) -> bool:
        """Return whether the primitive's map is only weighted and added: identity, pooling, or a module of its own."""
        identity = name == "skip_connect" and self.strides[edge] == 1
        return identity or name.endswith("pool_3x3") or f"{name}_{edge}" in self.modules_on_edges

    def _unfused_map(self, name: str, edge: int, source: Source) -> Tensor:
        if name.endswith("pool_3x3"):
            return source.pooled(name)
        if name == "skip_connect" and source.stride == 1:
            return source.x
        module = self.modules_on_edges[f"{name}_{edge}"]
        if isinstance(module, FactorizedReduce):
            tapped = module.input(source.rectified)
            return module.join(*(source.halves if tapped is source.rectified else halves(tapped)))
        out: Tensor = module(source.x)
        return out

    def _add_convolutions(self, sources: Sequence[Source], weights: Tensor, total: Tensor | None) -> Tensor:
        """Add the weighted separable and dilated convolutions to ``total``.

        Dilated convolutions run on four interleaved sub-images where height and width are even.
        """
        blocks = self._blocks(sources)
        fold = any(source.foldable for source in sources)
        maps = self._separable_maps(sources, blocks)
        dilated = self._dilated_maps(sources, blocks, fold)
        if not fold or not dilated:
            return self.last.summed([maps + dilated], weights, total)[0]
        if not maps:
            (added,) = self.last.summed([dilated], weights)
        else:
            total, added = self.last.summed([maps, dilated], weights, total)
        return batch_to_space(added) if total is None else total + batch_to_space(added)

    def _separable_maps(self, sources: Sequence[Source], blocks: Sequence[Block]) -> list[Tensor]:
        """Return the inputs of the last 1x1 convolution of every separable convolution, ordered by name and block."""
        if not self.separable:
            return []
        inputs = [
            concatenated([source.rectified for source in sources[run]]) for block in blocks for run in block
        ]
        first = self._convolved(self.separable, blocks, inputs, depthwise_conv)
        spans = [slice(block[0].start, block[-1].stop) for block in blocks]
        second = [kernels for name in self.separable for kernels in self._kernels(f"{name}_second", spans)]
        return [depthwise_conv(x, k) for x, k in zip(self.middle.rectified(first), second, strict=True)]

    def _dilated_maps(self, sources: Sequence[Source], blocks: Sequence[Block], fold: bool) -> list[Tensor]:
        """Return the inputs of the 1x1 convolution of every dilated convolution, ordered by name and block."""
        if not self.dilated:
            return []
        inputs = [_dilated_input(sources[run], fold) for block in blocks for run in block]
        return self._convolved(self.dilated, blocks, inputs, partial(_dilated_conv, fold=fold))

    def _convolved(
        self, names: Sequence[str], blocks: Sequence[Block], inputs: Sequence[Tensor],
        convolve: Callable[[Tensor, Tensor, int], Tensor],
    ) -> list[Tensor]:  # fmt: skip
        """Apply the depthwise convolutions ``names`` to ``inputs`` (a map per run); return a map per name and block."""
        runs = [run for block in blocks for run in block]
        maps = []
        for name in names:
            parts = zip(inputs, self._kernels(name, runs), runs, strict=True)
            outs = (convolve(x, kernels, self.strides[run.start]) for x, kernels, run in parts)
            maps += [concatenated([next(outs) for _ in block]) for block in blocks]
        return maps

    def _blocks(self, sources: Sequence[Source]) -> list[Block]:
        """Group neighbouring edges into blocks of at most :data:`BLOCK_ELEMENTS`."""
        x = sources[-1].x
        edges_per_block = max(1, BLOCK_ELEMENTS[x.device.type == "cuda"] // (x.numel()))
        blocks: list[Block] = []
        for edge, stride in enumerate(self.strides):
            if edge % edges_per_block == 0:
                blocks.append([])
            runs = blocks[-1]
            if runs and self.strides[runs[-1].start] == stride:
                runs[-1] = slice(runs[-1].start, edge + 1)
            else:
                runs.append(slice(edge, edge + 1))
        return blocks

    def _kernels(self, name: str, runs: Sequence[slice]) -> Sequence[Tensor]:
        """Return the depthwise kernels of each run of n edges: [n C, 1, k, k]."""
        kernels = self.depthwise[name]
        if len(runs) == 1:
            return [kernels]
        return kernels.split([(run.stop - run.start) * self.channels for run in runs])


BLOCK_ELEMENTS = {False: 2**18, True: 2**24}
"""Most float32 elements of a block, by whether it is on a GPU.

1 MB fits the cache of a CPU; 64 MB means fewer kernel launches on a GPU.
"""


def _dilated_input(sources: Sequence[Source], fold: bool) -> Tensor:
    if sources[0].stride == 2:
        return concatenated([source.strided for source in sources])
    return concatenated([source.folded if fold else source.rectified for source in sources])


def _dilated_conv(x: Tensor, kernels: Tensor, stride: int, fold: bool) -> Tensor:
    if stride == 2:
        out = depthwise_conv(x, kernels)
        return space_to_batch(out) if fold else out
    return depthwise_conv(x, kernels) if fold else depthwise_conv(x, kernels, dilation=2)


def _new_kernels(edges: int, channels: int, kernel: int) -> nn.Parameter:
    """Return depthwise kernels [E C, 1, k, k] with the initialization of ``nn.Conv2d``."""
    bound = 1 / kernel  # the fan-in of a depthwise kernel is k^2
    return nn.Parameter(torch.empty(edges * channels, 1, kernel, kernel).uniform_(-bound, bound))


class _Context(FunctionCtx):
    saved_tensors: tuple[Tensor, ...]
    needs_input_grad: tuple[bool, ...]


class _WeightedSum(torch.autograd.Function):
    """sum_t gamma_t x_t over T maps of equal shape in channels-last layout; gamma [T]."""

    @staticmethod
    @override
    def forward(ctx: _Context, gamma: Tensor, *maps: Tensor) -> Tensor:
        ctx.save_for_backward(gamma, *(maps if ctx.needs_input_grad[0] else ()))
        scalars = gamma.to(maps[0].dtype).unbind()
        total = maps[0] * scalars[0]
        for x, scalar in zip(maps[1:], scalars[1:], strict=True):
            total.addcmul_(x, scalar)
        return total

    @staticmethod
    @override
    def backward(ctx: _Context, gradient: Tensor) -> tuple[Tensor | None, ...]:
        gamma, *maps = ctx.saved_tensors
        flat = _flat(gradient)
        d_gamma = None
        if ctx.needs_input_grad[0]:
            d_gamma = torch.stack([_dot(flat, _flat(x), gamma.dtype) for x in maps])
        scalars = gamma.to(gradient.dtype).unbind()
        needed = ctx.needs_input_grad[1:]
        return (
            d_gamma,
            *(gradient * s if needs_grad else None for s, needs_grad in zip(scalars, needed, strict=True)),
        )


def _dot(left: Tensor, right: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the inner product of two vectors, accumulated in ``dtype``: a scalar."""
    if left.dtype == dtype:
        return torch.dot(left, right)
    return product(left[:, None], right[:, None], dtype).view(())


def _flat(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1).reshape(-1)
