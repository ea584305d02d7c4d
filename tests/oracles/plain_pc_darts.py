"""The PC-DARTS supernet as its paper writes it: the plain one with partial channels and edge weights.

Xu et al., PC-DARTS, ICLR 2020: of every node's channels the first 1/K pass the mixed operation, the others go by
(max-pooled where the edge has stride 2); both are joined and shuffled, edge by edge.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.oracles.plain_darts import MixedOp, PlainCell, PlainSupernet


def shuffled(x: Tensor, groups: int) -> Tensor:
    """Take the channels of ``groups`` equal groups in turn: the first of each, the second of each, and so on."""
    size = x.shape[1] // groups
    return torch.stack([x[:, g * size + i] for i in range(size) for g in range(groups)], dim=1)


class PartialMixedOp(MixedOp):
    def __init__(self, names: list[str], c: int, stride: int, k: int) -> None:
        super().__init__(names, c // k, stride)
        self.k, self.stride = k, stride

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        seen = x.shape[1] // self.k
        passing = x[:, seen:]
        if self.stride == 2:
            passing = F.max_pool2d(passing, 2, 2, ceil_mode=True)
        return shuffled(torch.cat([super().forward(x[:, :seen], weights), passing], dim=1), self.k)


class PlainPartialSupernet(PlainSupernet):
    """betas: {kind: [E]}, softmax over the edges that enter one node."""

    def __init__(self, space: str = "darts", *, k: int, **sizes: object) -> None:
        super().__init__(space, **sizes)  # type: ignore[arg-type]
        for cell in self.cells:
            assert isinstance(cell, PlainCell)
            for index, edge in enumerate(cell.edges):
                cell.edges[index] = _partial(edge, k)
        self.nodes = self.cells[0].nodes
        edges = sum(range(2, self.nodes + 2))
        self.betas = nn.ParameterDict({kind: nn.Parameter(torch.randn(edges)) for kind in self.alphas})

    def edge_shares(self, kind: str) -> Tensor:
        shares, first = [], 0
        for node in range(self.nodes):
            shares.append(self.betas[kind][first : first + node + 2].softmax(0))
            first += node + 2
        return torch.cat(shares)

    def forward(self, images: Tensor) -> Tensor:
        before = previous = self.stem(images)
        for kind, cell in zip(self.kinds, self.cells, strict=True):
            weights, shares = self.alphas[kind].softmax(-1), self.edge_shares(kind)
            before, previous = previous, _cell(cell, before, previous, weights, shares)
        return self.classifier(previous.mean(dim=(2, 3)))


def _partial(edge: nn.Module, k: int) -> PartialMixedOp:
    return PartialMixedOp(list(edge.ops), edge.width, edge.stride, k)


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
