"""The supernet: every primitive on every edge, weighted by the architecture parameters alpha.

The mathematics is DARTS's, to the last digit (tests hold it against the textbook formula in float64); how it is
evaluated is in ``mixed`` and ``projection``.

Shapes: B batch; N nodes; E = 2 + 3 + ... + (N + 1) edges; P primitives.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from search_space.genotype import Genotype, derive_cell
from search_space.normalization import recomputed
from search_space.output_node import OutputNode
from search_space.primitives import FactorizedReduce, relu_conv_bn
from search_space.skeleton import CellPlace, Classifier, places, stem
from search_space.space import SPACES, check_fit
from search_space.supernet.mixed import MixedNode
from search_space.supernet.sources import Source, SourceForms


class Supernet(nn.Module):
    """Images [B, image_channels, H, W] -> logits [B, classes].

    Args:
        space: name of the search space.
        cells, channels, nodes: size of the stack, node width C, intermediate nodes N.
        classes: classes of the classifier.
        output_node, splitting: how a cell's nodes are joined (:class:`OutputNode`).
        image_channels: channels of an image.
        width_growth: multiplies the node width of every cell.
        patch_size: pixels a side of one patch (patch embedding only).
        partial_channels: K of PC-DARTS: primitives see the first 1/K of the channels; 1: all of them.
        edge_normalization: PC-DARTS's edge weights beta, one more parameter for each edge.
        recompute: keep only the cells' inputs for the backward pass and compute the rest again.

    Attributes:
        alphas: {kind of cell: [E, P]}, real parameters.
        betas: {kind of cell: [E]}, empty without ``edge_normalization``.

    Raises:
        SplittingError, SpaceError: sizes that do not fit together.
    """

    def __init__(
        self,
        space: str = "darts",
        *,
        cells: int,
        channels: int,
        classes: int,
        nodes: int = 4,
        output_node: str = "node_groups",
        splitting: int = 1,
        image_channels: int = 3,
        width_growth: float = 1.0,
        patch_size: int = 2,
        partial_channels: int = 1,
        edge_normalization: bool = False,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        home = SPACES[space]
        check_fit(
            home, cells=cells, channels=channels, nodes=nodes, output_node=output_node, splitting=splitting,
            width_growth=width_growth, patch_size=patch_size, partial_channels=partial_channels,
        )  # fmt: skip
        self.space, self.nodes = home, nodes
        self.stem = stem(home, image_channels, channels, patch_size)
        self.kinds: list[str] = []
        channels_out = 0
        for place in places(
            home, cells=cells, channels=channels, width_growth=width_growth, output_node=output_node,
            splitting=splitting, joined=dict.fromkeys(("normal", "reduce"), nodes),
        ):  # fmt: skip
            cell = SuperCell(
                home.primitives, place, nodes, output_node, splitting, partial_channels, recompute
            )
            self.add_module(f"cell{len(self.kinds)}", cell)
            self.kinds.append(place.kind)
            channels_out = cell.output.channels_out
        self.classifier = Classifier(channels_out, classes)
        edges = nodes * (nodes + 3) // 2
        self.alphas = nn.ParameterDict(
            {
                kind: nn.Parameter(1e-3 * torch.randn(edges, len(home.primitives)))
                for kind in home.cell_kinds()
            }
        )
        self.betas = nn.ParameterDict(
            {
                kind: nn.Parameter(1e-3 * torch.randn(edges))
                for kind in home.cell_kinds()
                if edge_normalization
            }
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits [B, classes] of ``images`` [B, C, H, W]."""
        gammas = {kind: self.edge_weights(kind) for kind in self.alphas}
        shares = {kind: self.edge_shares(kind) for kind in self.betas}
        first = self.stem(images.contiguous(memory_format=torch.channels_last))
        # images of one channel have no layout of their own to hand on
        before = previous = first.contiguous(memory_format=torch.channels_last)
        for index, kind in enumerate(self.kinds):
            cell = self.cell(index)
            before, previous = previous, cell(before, previous, gammas[kind], shares.get(kind))
        logits: Tensor = self.classifier(previous)
        return logits

    def cell(self, index: int) -> SuperCell:
        """Return cell ``index`` of the stack."""
        cell = self.get_submodule(f"cell{index}")
        assert isinstance(cell, SuperCell)
        return cell

    def edge_weights(self, kind: str) -> Tensor:
        """Return the weight of every primitive on every edge, [E, P]: softmax(alpha), times the edge's share."""
        weights = self.alphas[kind].softmax(-1)
        return weights * self.edge_shares(kind)[:, None] if kind in self.betas else weights

    def edge_shares(self, kind: str) -> Tensor:
        """Return softmax(beta) over the edges that enter the same node: [E]."""
        return torch.cat([part.softmax(0) for part in self.betas[kind].split(list(range(2, self.nodes + 2)))])

    def architecture_parameters(self) -> list[nn.Parameter]:
        """Return alphas and betas: what the architecture optimizer moves."""
        return [*self.alphas.values(), *self.betas.values()]

    def weight_parameters(self) -> list[nn.Parameter]:
        """Return all other parameters: what the weight optimizer moves."""
        architecture = {id(parameter) for parameter in self.architecture_parameters()}
        return [parameter for parameter in self.parameters() if id(parameter) not in architecture]

    @torch.no_grad()
    def genotype(self) -> Genotype:
        """Derive the architecture that the alphas stand for now (:func:`genotype.derive_cell`)."""
        cells = {
            kind: derive_cell(self.edge_weights(kind).double().tolist(), self.space.primitives, self.nodes)
            for kind in self.alphas
        }
        return Genotype(normal=cells["normal"], reduce=cells.get("reduce"))

    @torch.no_grad()
    def alpha_entropy(self) -> float:
        """Return the entropy of the primitives' weights, mean over all edges, in nats (log P at the start)."""
        weights = torch.cat([alpha.softmax(-1) for alpha in self.alphas.values()])
        return float(torch.special.entr(weights).sum(-1).mean())


class SuperCell(nn.Module):
    """One cell of a supernet.

    With ``partial_channels`` K > 1 the primitives see the first C/K channels of a node and the others pass by
    (max-pooled where the edge has stride 2); the joined channels are shuffled so that all get their turn
    (PC-DARTS, Xu et al., ICLR 2020).
    """

    def __init__(
        self, primitives: tuple[str, ...], place: CellPlace, nodes: int, output_node: str, splitting: int,
        partial_channels: int, recompute: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        width = place.channels
        self.partial_channels, self.seen, self.recompute = (
            partial_channels,
            width // partial_channels,
            recompute,
        )
        if place.after_reduction:
            self.preprocess0: nn.Module = FactorizedReduce(place.channels_before, width, affine=False)
        else:
            self.preprocess0 = relu_conv_bn(place.channels_before, width, affine=False)
        self.preprocess1: nn.Module = relu_conv_bn(place.channels_previous, width, affine=False)
        strides = [2 if place.reduction and source < 2 else 1 for source in range(nodes + 1)]
        # A recomputation holds most at the last node, so the newest source does not keep the indices of its maxima.
        self.sources = nn.ModuleList(
            SourceForms(primitives, self.seen, stride, recompute and source == nodes)
            for source, stride in enumerate(strides)
        )
        self.mixed = nn.ModuleList(
            MixedNode(primitives, self.seen, strides[: node + 2]) for node in range(nodes)
        )
        self.output = OutputNode(output_node, splitting, nodes, width)

    def forward(self, before: Tensor, previous: Tensor, gamma: Tensor, shares: Tensor | None) -> Tensor:
        if self.recompute and torch.is_grad_enabled():
            return recomputed(self._evaluate, before, previous, gamma, shares)
        return self._evaluate(before, previous, gamma, shares)

    def _evaluate(self, before: Tensor, previous: Tensor, gamma: Tensor, shares: Tensor | None) -> Tensor:
        states = [self.preprocess0(before), self.preprocess1(previous)]
        sources: list[Source] = []
        first = 0
        for mixed in self.mixed:
            for state, forms in zip(states[len(sources) :], self.sources[len(sources) :], strict=False):
                sources.append(forms(_front(state, self.seen)))
            edges = slice(first, first + len(states))
            first = edges.stop
            total = mixed(sources, gamma[edges])
            if self.partial_channels > 1:
                total = self._join_passing(total, states, sources, shares, edges)
            states.append(total)
        joined: Tensor = self.output(states[2:])
        return joined

    def mixed_nodes(self) -> list[MixedNode]:
        """Return the intermediate nodes in order."""
        return [node for node in self.mixed if isinstance(node, MixedNode)]

    def _join_passing(
        self, total: Tensor, states: list[Tensor], sources: list[Source], shares: Tensor | None, edges: slice
    ) -> Tensor:
        passing = [state[:, self.seen :] for state in states]
        reduced = [
            F.max_pool2d(p, 2, 2, ceil_mode=True) if s.stride == 2 else p
            for p, s in zip(passing, sources, strict=True)
        ]
        ones = torch.ones(len(states)).unbind()
        weights = ones if shares is None else shares[edges].unbind()
        rest = sum((p * w for p, w in zip(reduced[1:], weights[1:], strict=True)), reduced[0] * weights[0])
        joined = torch.cat([total, rest], dim=1)
        return F.channel_shuffle(joined, self.partial_channels).contiguous(memory_format=torch.channels_last)


def _front(x: Tensor, channels: int) -> Tensor:
    """Return the first ``channels`` channels as a map of its own."""
    return x if x.shape[1] == channels else x[:, :channels].contiguous(memory_format=torch.channels_last)
