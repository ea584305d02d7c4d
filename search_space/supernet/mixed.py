"""The mixed operation, all incoming edges of one node at a time: the hot spot of a supernet step.

The textbook writes one module per edge and primitive. Here a node evaluates everything that enters it together:

* what depends on the source node alone is computed once per *source*, however many nodes read it
  (:class:`~search_space.supernet.sources.Source`);
* on small maps the edges lie side by side in the channels of one map, a *block*, and share every operation;
* every primitive that ends in 1x1 convolution, batch norm and its weight goes through one
  :class:`~search_space.supernet.projection.ProjectNorm`, which adds up all of a node's terms without storing them;
* ``none`` takes its share of the softmax and costs nothing.

Shapes: B batch, C channels, H, W; E incoming edges; P primitives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from search_space.primitives import FactorizedReduce, edge_module, halves, kernel_size
from search_space.supernet.block_products import beside
from search_space.supernet.depthwise import batch_to_space, depthwise_conv, space_to_batch
from search_space.supernet.projection import ProjectNorm
from search_space.supernet.sources import Source

Block = list[slice]
"""Neighbouring edges that share a map from the first convolution on: runs of edges of one stride."""


class MixedNode(nn.Module):
    """Everything that enters one node: sum over its E edges and the P primitives on each.

    Args:
        primitives: the P names, ``none`` among them.
        channels: C.
        strides: stride of each of the E edges.
    """

    order: Tensor

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
        if self.separable or self.dilated:
            self.last = ProjectNorm(edges * len(self.separable + self.dilated), channels)
        self.modules_on_edges = nn.ModuleDict(
            {
                f"{name}_{edge}": module
                for name in primitives
                for edge, stride in enumerate(strides)
                if (module := edge_module(name, channels, stride)) is not None
            }
        )
        self.whole = [
            (name, edge) for name in primitives for edge in range(edges) if self._gives_whole_map(name, edge)
        ]
        self.register_buffer("order", self._order(), persistent=False)

    def forward(self, sources: Sequence[Source], gamma: Tensor) -> Tensor:
        """Return the node's map [B, C, H', W']; ``gamma``: [E, P] weights of the primitives."""
        weights = gamma.reshape(-1).index_select(0, self.order)
        weights, convolved = weights[: len(self.whole)], weights[len(self.whole) :]
        total: Tensor | None = None
        if self.whole:
            maps = (self._whole_map(name, edge, sources[edge]) for name, edge in self.whole)
            total = _WeightedSum.apply(weights, *maps)
        if len(convolved):
            total = self._add_convolved(sources, convolved, total)
        if total is None:
            raise ValueError(
                f"a space needs a primitive besides `none`, but got {', '.join(self.primitives)}"
            )
        return total

    def _order(self) -> Tensor:
        """Return where the weights stand in the flattened gamma: of whole maps, separable and dilated ones."""
        convolved = [
            (name, edge) for name in self.separable + self.dilated for edge in range(len(self.strides))
        ]
        width = len(self.primitives)
        places = [edge * width + self.primitives.index(name) for name, edge in self.whole + convolved]
        return torch.tensor(places, dtype=torch.int64)

    def _gives_whole_map(self, name: str, edge: int) -> bool:
        """Say whether a primitive's map is only weighted and added: identities, pools, primitives that are modules."""
        identity = name == "skip_connect" and self.strides[edge] == 1
        return identity or name.endswith("pool_3x3") or f"{name}_{edge}" in self.modules_on_edges

    def _whole_map(self, name: str, edge: int, source: Source) -> Tensor:
        if name.endswith("pool_3x3"):
            return source.pooled(name)
        if name == "skip_connect" and source.stride == 1:
            return source.x
        module = self.modules_on_edges[f"{name}_{edge}"]
        if isinstance(module, FactorizedReduce):
            seen = module.input(source.rectified)
            return module.join(*(source.halves if seen is source.rectified else halves(seen)))
        out: Tensor = module(source.x)
        return out

    def _add_convolved(self, sources: Sequence[Source], weights: Tensor, total: Tensor | None) -> Tensor:
        """Add separable and dilated convolutions, the latter on interleaved sub-images wherever the size is even."""
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
        """Return what enters the last 1x1 convolution of each separable convolution, name by name."""
        if not self.separable:
            return []
        inputs = [beside([source.rectified for source in sources[run]]) for block in blocks for run in block]
        first = self._convolved(self.separable, blocks, inputs, depthwise_conv)
        whole = [slice(block[0].start, block[-1].stop) for block in blocks]
        second = [kernels for name in self.separable for kernels in self._kernels(f"{name}_second", whole)]
        return [depthwise_conv(x, k) for x, k in zip(self.middle.rectified(first), second, strict=True)]

    def _dilated_maps(self, sources: Sequence[Source], blocks: Sequence[Block], fold: bool) -> list[Tensor]:
        """Return what enters the 1x1 convolution of each dilated convolution, name by name."""
        if not self.dilated:
            return []
        inputs = [_dilated_input(sources[run], fold) for block in blocks for run in block]
        return self._convolved(self.dilated, blocks, inputs, partial(_dilated_conv, fold=fold))

    def _convolved(
        self, names: Sequence[str], blocks: Sequence[Block], inputs: Sequence[Tensor],
        convolve: Callable[[Tensor, Tensor, int], Tensor],
    ) -> list[Tensor]:  # fmt: skip
        """Return the depthwise convolutions ``names`` of ``inputs``, one map a run, as one map a name and block."""
        runs = [run for block in blocks for run in block]
        maps = []
        for name in names:
            parts = zip(inputs, self._kernels(name, runs), runs, strict=True)
            outs = (convolve(x, kernels, self.strides[run.start]) for x, kernels, run in parts)
            maps += [beside([next(outs) for _ in block]) for block in blocks]
        return maps

    def _blocks(self, sources: Sequence[Source]) -> list[Block]:
        """Group neighbouring edges into blocks of at most :data:`BLOCK_ELEMENTS`."""
        x = sources[-1].x
        most = max(1, BLOCK_ELEMENTS[x.device.type == "cuda"] // (x.numel()))
        blocks: list[Block] = []
        for edge, stride in enumerate(self.strides):
            if edge % most == 0:
                blocks.append([])
            runs = blocks[-1]
            if runs and self.strides[runs[-1].start] == stride:
                runs[-1] = slice(runs[-1].start, edge + 1)
            else:
                runs.append(slice(edge, edge + 1))
        return blocks

    def _kernels(self, name: str, runs: Sequence[slice]) -> Sequence[Tensor]:
        """Return the depthwise kernels of each run of edges: [k C, 1, size, size]."""
        whole = self.depthwise[name]
        if len(runs) == 1:
            return [whole]
        return whole.split([(run.stop - run.start) * self.channels for run in runs])


BLOCK_ELEMENTS = {False: 2**18, True: 2**24}
"""Largest block of edges on the CPU (1 MB, which its cache holds) and on a GPU (64 MB, to start fewer kernels)."""


def _dilated_input(sources: Sequence[Source], fold: bool) -> Tensor:
    if sources[0].stride == 2:
        return beside([source.strided for source in sources])
    return beside([source.folded if fold else source.rectified for source in sources])


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
        ctx.save_for_backward(gamma, *(maps if ctx.needs_input_grad[0] else ()))
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
