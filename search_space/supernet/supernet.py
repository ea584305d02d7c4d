"""The supernet: every primitive on every edge, weighted by the architecture parameters alpha.

The function is that of DARTS (Liu et al., ICLR 2019): tests compare logits and gradients with the textbook formula in
float64. ``mixed.py`` and ``projection.py`` explain how it is evaluated.

Shapes: B batch, C channels of a node, H height, W width; N intermediate nodes, E = 2 + 3 + ... + (N + 1) edges,
P primitives.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from search_space import skeleton
from search_space.genotype import Genotype, derive_cell
from search_space.normalization import recomputed
from search_space.output_node import OutputNode
from search_space.primitives import FactorizedReduce, relu_conv_bn
from search_space.skeleton import CellPosition, Classifier, cell_positions
from search_space.space import SPACES, Activation, StemName, check_fit
from search_space.supernet import fused
from search_space.supernet.mixed import MixedNode
from search_space.supernet.sources import Source, SourceForms


class Supernet(nn.Module):
    """Images [B, image_channels, H, W] -> logits [B, classes].

    Args:
        space: name of the search space.
        cells: number of cells in the stack.
        channels: node width C of the first cell.
        classes: number of classes.
        nodes: intermediate nodes N of a cell.
        output_node, splitting: how a cell's nodes are joined (:class:`OutputNode`).
        image_channels: channels of an image.
        width_growth: factor on the node width of every cell.
        patch_size: side of a patch in pixels (patch embedding only).
        activation: function between the two layers of MLPs.
        stem: the convolutional stem, ``cifar`` or ``imagenet``.
        partial_channels: K of PC-DARTS: the primitives operate on the first 1/K of the channels; 1: on all.
        edge_normalization: use the edge weights beta of PC-DARTS, one parameter per edge.
        recompute: activation checkpointing: keep only the inputs of each cell for the backward pass.

    Attributes:
        alphas: architecture parameters [E, P] by kind of cell.
        betas: edge parameters [E] by kind of cell; empty without ``edge_normalization``.
        kinds: the kind of every cell in the stack.

    Raises:
        SplittingError: ``splitting`` does not fit the output node.
        SpaceError: the sizes do not fit together.
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
        activation: Activation = "gelu",
        stem: StemName = "cifar",
        partial_channels: int = 1,
        edge_normalization: bool = False,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        search_space = SPACES[space]
        check_fit(
            search_space, cells=cells, channels=channels, nodes=nodes, output_node=output_node, splitting=splitting,
            width_growth=width_growth, patch_size=patch_size, partial_channels=partial_channels, activation=activation,
            stem=stem,
        )  # fmt: skip
        self.space, self.nodes = search_space, nodes
        self.stem = skeleton.stem(search_space, image_channels, channels, patch_size, stem)
        self.second_stem = skeleton.second_stem(channels, stem)
        self.kinds: list[str] = []
        channels_out = 0
        for position in cell_positions(
            search_space, cells=cells, channels=channels, width_growth=width_growth, output_node=output_node,
            splitting=splitting, joined_nodes=dict.fromkeys(("normal", "reduce"), nodes), stem=stem,
        ):  # fmt: skip
            cell = SuperCell(
                search_space.primitives, position, nodes, output_node, splitting, partial_channels, recompute,
                activation,
            )  # fmt: skip
            self.add_module(f"cell{len(self.kinds)}", cell)
            self.kinds.append(position.kind)
            channels_out = cell.output.channels_out
        self.classifier = Classifier(channels_out, classes)
        edges = nodes * (nodes + 3) // 2
        self.alphas = nn.ParameterDict(
            {
                kind: nn.Parameter(1e-3 * torch.randn(edges, len(search_space.primitives)))
                for kind in search_space.cell_kinds()
            }
        )
        self.betas = nn.ParameterDict(
            {
                kind: nn.Parameter(1e-3 * torch.randn(edges))
                for kind in search_space.cell_kinds()
                if edge_normalization
            }
        )

    @override
    def forward(self, images: Tensor) -> Tensor:
        """Return the logits [B, classes] of ``images`` [B, image_channels, H, W]."""
        gammas = {kind: self.edge_weights(kind) for kind in self.alphas}
        shares = {kind: self.edge_shares(kind) for kind in self.betas}
        first = self.stem(images.contiguous(memory_format=torch.channels_last))
        # The memory format of one-channel images is ambiguous, so the stem may not keep channels-last.
        before = previous = first.contiguous(memory_format=torch.channels_last)
        if self.second_stem is not None:
            previous = self.second_stem(before)
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
        """Return the weight of every primitive on every edge: softmax(alpha), times :meth:`edge_shares`; [E, P]."""
        weights = self.alphas[kind].softmax(-1)
        return weights * self.edge_shares(kind)[:, None] if kind in self.betas else weights

    def edge_shares(self, kind: str) -> Tensor:
        """Return the edge weights of PC-DARTS: softmax(beta) over the edges that enter the same node; [E]."""
        return torch.cat([part.softmax(0) for part in self.betas[kind].split(list(range(2, self.nodes + 2)))])

    def architecture_parameters(self) -> list[nn.Parameter]:
        """Return alphas and betas: the parameters of the architecture optimizer."""
        return [*self.alphas.values(), *self.betas.values()]

    def weight_parameters(self) -> list[nn.Parameter]:
        """Return all other parameters: those of the weight optimizer."""
        architecture = {id(parameter) for parameter in self.architecture_parameters()}
        return [parameter for parameter in self.parameters() if id(parameter) not in architecture]

    @torch.no_grad()
    def genotype(self) -> Genotype:
        """Derive the genotype of the current alphas and betas (:func:`genotype.derive_cell`)."""
        cells = {
            kind: derive_cell(self.edge_weights(kind).double().tolist(), self.space.primitives, self.nodes)
            for kind in self.alphas
        }
        return Genotype(normal=cells["normal"], reduce=cells.get("reduce"))

    @torch.no_grad()
    def alpha_entropy(self) -> float:
        """Return the entropy of softmax(alpha) in nats, averaged over all edges; about log P at initialization."""
        weights = torch.cat([alpha.softmax(-1) for alpha in self.alphas.values()])
        return float(torch.special.entr(weights).sum(-1).mean())


class SuperCell(nn.Module):
    """One cell of a supernet.

    With ``partial_channels`` K > 1 the primitives operate on the first C/K channels of a node, and the other channels
    bypass them, max-pooled on edges of stride 2. Then the channels are shuffled, so that the next nodes operate on
    other channels (PC-DARTS, Xu et al., ICLR 2020).
    """

    def __init__(
        self, primitives: tuple[str, ...], position: CellPosition, nodes: int, output_node: str, splitting: int,
        partial_channels: int, recompute: bool, activation: Activation,
    ) -> None:  # fmt: skip
        super().__init__()
        width = position.channels
        operated = width // partial_channels
        self.partial_channels, self.operated_channels, self.recompute = partial_channels, operated, recompute
        if position.after_reduction:
            self.preprocess0: nn.Module = FactorizedReduce(position.channels_before, width, affine=False)
        else:
            self.preprocess0 = relu_conv_bn(position.channels_before, width, affine=False)
        self.preprocess1: nn.Module = relu_conv_bn(position.channels_previous, width, affine=False)
        strides = [2 if position.reduction and source < 2 else 1 for source in range(nodes + 1)]
        # Recomputing a cell needs most memory at its last node, so the last source stores no max-pooling indices.
        self.sources = nn.ModuleList(
            SourceForms(primitives, operated, stride, recompute and source == nodes)
            for source, stride in enumerate(strides)
        )
        self.mixed = nn.ModuleList(
            MixedNode(primitives, operated, strides[: node + 2], activation) for node in range(nodes)
        )
        self.output = OutputNode(output_node, splitting, nodes, width)

    @override
    def forward(self, before: Tensor, previous: Tensor, gamma: Tensor, shares: Tensor | None) -> Tensor:
        """Return the cell's map.

        Args:
            before: the map of the cell before the previous one.
            previous: the map of the previous cell.
            gamma: weights of the primitives, [E, P].
            shares: edge weights of PC-DARTS for the bypassed channels, [E]; None: all 1.
        """
        fuse = fused.can_fuse(self.mixed_nodes(), before)
        if self.recompute and torch.is_grad_enabled():
            return recomputed(self._evaluate, before, previous, gamma, shares, fuse)
        return self._evaluate(before, previous, gamma, shares, fuse)

    def _evaluate(
        self, before: Tensor, previous: Tensor, gamma: Tensor, shares: Tensor | None, fuse: bool
    ) -> Tensor:
        states = [self.preprocess0(before), self.preprocess1(previous)]
        fused_nodes = self._fused_nodes(gamma) if fuse else None
        outs: list[Tensor] = []
        sources: list[Source] = []
        first = 0
        for index, mixed in enumerate(self.mixed):
            for state, forms in zip(states[len(sources) :], self.sources[len(sources) :], strict=False):
                sources.append(forms(_first_channels(state, self.operated_channels)))
            edges = slice(first, first + len(states))
            first = edges.stop
            if fused_nodes is None:
                total = out = mixed(sources, gamma[edges])
            else:
                total, out = fused_nodes.node(index, sources)
            if self.partial_channels > 1:
                total = out = self._join_bypass(total, states, sources, shares, edges)
            states.append(total)
            outs.append(out)
        joined: Tensor = self.output(outs)
        return joined

    def _fused_nodes(self, gamma: Tensor) -> fused.FusedNodes:
        """Return the evaluation of the nodes by fused GPU kernels."""
        forms = [form for form in self.sources if isinstance(form, SourceForms)]
        return fused.FusedNodes(self.mixed_nodes(), forms, gamma)

    def mixed_nodes(self) -> list[MixedNode]:
        """Return the intermediate nodes in order."""
        return [node for node in self.mixed if isinstance(node, MixedNode)]

    def _join_bypass(
        self, total: Tensor, states: list[Tensor], sources: list[Source], shares: Tensor | None, edges: slice
    ) -> Tensor:
        """Concatenate the mixed channels with the weighted sum of the bypassed ones, and shuffle all channels."""
        bypassed = [state[:, self.operated_channels :] for state in states]
        reduced = [
            F.max_pool2d(x, 2, 2, ceil_mode=True) if source.stride == 2 else x
            for x, source in zip(bypassed, sources, strict=True)
        ]
        ones = torch.ones(len(states)).unbind()
        weights = ones if shares is None else shares[edges].unbind()
        bypass = sum((x * w for x, w in zip(reduced[1:], weights[1:], strict=True)), reduced[0] * weights[0])
        joined = torch.cat([total, bypass], dim=1)
        return F.channel_shuffle(joined, self.partial_channels).contiguous(memory_format=torch.channels_last)


def _first_channels(x: Tensor, channels: int) -> Tensor:
    """Return the first ``channels`` channels, as a contiguous copy if there are more."""
    return x if x.shape[1] == channels else x[:, :channels].contiguous(memory_format=torch.channels_last)
