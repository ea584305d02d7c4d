"""Reference PC-DARTS supernet, as in the paper: the DARTS one with partial channels and edge weights.

Xu et al., PC-DARTS, ICLR 2020: on every edge, the first 1/K of the channels take the mixed operation and the others
bypass it, max-pooled if the edge has stride 2; both are concatenated and shuffled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.oracles.plain_darts import MixedOp, PlainCell, PlainSupernet, Sizes


def shuffled(x: Tensor, groups: int) -> Tensor:
    """Interleave the channels of equal groups: the first channel of each, the second of each, and so on."""
    size = x.shape[1] // groups
    return torch.stack([x[:, g * size + i] for i in range(size) for g in range(groups)], dim=1)


class PartialMixedOp(MixedOp):
    def __init__(self, names: Sequence[str], c: int, stride: int, k: int) -> None:
        super().__init__(names, c // k, stride)
        self.k, self.stride = k, stride

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        operated = x.shape[1] // self.k
        bypassed = x[:, operated:]
        if self.stride == 2:
            bypassed = F.max_pool2d(bypassed, 2, 2, ceil_mode=True)
        return shuffled(torch.cat([super().forward(x[:, :operated], weights), bypassed], dim=1), self.k)


class PlainPartialSupernet(PlainSupernet):
    """``betas`` are [E] by kind of cell: softmax over the edges that enter one node."""

    def __init__(self, space: str = "darts", *, k: int, **sizes: Unpack[Sizes]) -> None:
        super().__init__(space, **sizes)
        for cell in self.plain_cells():
            for index, edge in enumerate(cell.edges):
                assert isinstance(edge, MixedOp)
                cell.edges[index] = PartialMixedOp(list(edge.ops), edge.width, edge.stride, k)
        self.nodes = self.plain_cells()[0].nodes
        edges = sum(range(2, self.nodes + 2))
        self.betas = nn.ParameterDict({kind: nn.Parameter(torch.randn(edges)) for kind in self.alphas})

    def plain_cells(self) -> list[PlainCell]:
        return [cell for cell in self.cells if isinstance(cell, PlainCell)]

    def edge_shares(self, kind: str) -> Tensor:
        shares, first = [], 0
        for node in range(self.nodes):
            shares.append(self.betas[kind][first : first + node + 2].softmax(0))
            first += node + 2
        return torch.cat(shares)

    def forward(self, images: Tensor) -> Tensor:
        before = previous = self.stem(images)
        for kind, cell in zip(self.kinds, self.plain_cells(), strict=True):
            weights, shares = self.alphas[kind].softmax(-1), self.edge_shares(kind)
            before, previous = previous, _cell(cell, before, previous, weights, shares)
        return self.classifier(previous.mean(dim=(2, 3)))


def _cell(cell: PlainCell, before: Tensor, previous: Tensor, weights: Tensor, shares: Tensor) -> Tensor:
    states = [cell.preprocess0(before), cell.preprocess1(previous)]
    edge = 0
    for _ in range(cell.nodes):
        total = sum(
            shares[edge + i] * cell.edges[edge + i](state, weights[edge + i])
            for i, state in enumerate(states)
        )
        edge += len(states)
        states.append(total)
    return cell.output(states[2:])
