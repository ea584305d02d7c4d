"""The discrete network of a genotype: derived by a search, trained from scratch, deployed.

With ``output_node="concat"`` and a published DARTS genotype this is exactly the network of that paper, without its
auxiliary head.

Shapes: B batch, C channels of a node, H height, W width.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from typing_extensions import override

from search_space import skeleton
from search_space.feature_map import FeatureMap
from search_space.genotype import CellGenotype, Genotype
from search_space.output_node import OutputNode
from search_space.primitives import FactorizedReduce, primitive, relu_conv_bn
from search_space.skeleton import CellPosition, Classifier, cell_positions
from search_space.space import SPACES, Activation, SpaceError, StemName, check_fit


@dataclass(frozen=True)
class DropPath:
    """Drops the whole map of an image with ``probability`` and rescales the others (Larsson et al., ICLR 2017).

    Every rank draws the mask of the global batch from the same random state and uses the part of its own images. So n
    data-parallel ranks drop the same maps as one rank.
    """

    probability: float = 0.0
    rank: int = 0
    world_size: int = 1

    def __call__(self, x: Tensor) -> Tensor:
        """Return ``x`` [B, C, H, W] with dropped maps set to zero; B is this rank's part of the batch."""
        if self.probability == 0.0:
            return x
        keep_probability, images = 1.0 - self.probability, x.shape[0]
        mask = x.new_empty(images * self.world_size, 1, 1, 1).bernoulli_(keep_probability)
        return x * mask[images * self.rank :][:images] / keep_probability


class Network(nn.Module):
    """Images [B, image_channels, H, W] -> logits [B, classes].

    Args:
        genotype: the normal cell and, where the space has reductions, the reduction cell.
        channels: node width C of the first cell.
        cells: number of cells in the stack.
        classes: number of classes.
        output_node, splitting: how a cell's nodes are joined (:class:`OutputNode`).
        space: name of the search space; its skeleton is used.
        image_channels: channels of an image.
        width_growth: factor on the node width of every cell.
        patch_size: side of a patch in pixels (patch embedding only).
        activation: function between the two layers of MLPs.
        stem: the convolutional stem, ``cifar`` or ``imagenet``.
        drop_path: probability that an edge is dropped for an image in training.

    Raises:
        SplittingError: ``splitting`` does not fit the output node.
        SpaceError: the sizes do not fit together, or the genotype has no reduction cell but the space needs one.
    """

    def __init__(
        self,
        genotype: Genotype,
        *,
        channels: int,
        cells: int,
        classes: int,
        output_node: str = "node_groups",
        splitting: int = 1,
        space: str = "darts",
        image_channels: int = 3,
        width_growth: float = 1.0,
        patch_size: int = 2,
        activation: Activation = "gelu",
        stem: StemName = "cifar",
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.genotype, self.drop_path = genotype, DropPath(drop_path)
        genotypes = genotype.cells()
        search_space = SPACES[space]
        if missing := set(search_space.cell_kinds()) - set(genotypes):
            raise SpaceError(
                f"space {space} needs a genotype with a {missing.pop()} cell, but got {genotype}"
            )
        for kind in search_space.cell_kinds():
            check_fit(
                search_space, cells=cells, channels=channels, nodes=len(genotypes[kind].concat), primitives=(),
                output_node=output_node, splitting=splitting, width_growth=width_growth, patch_size=patch_size,
                activation=activation,
                stem=stem,
            )  # fmt: skip
        self.stem = skeleton.stem(search_space, image_channels, channels, patch_size, stem)
        self.stem_map = FeatureMap(waiting=True)
        self.second_stem = skeleton.second_stem(channels, stem)
        self.second_stem_map = FeatureMap(waiting=True) if self.second_stem else None
        joined_nodes = {kind: len(cell.concat) for kind, cell in genotypes.items()}
        channels_out = 0
        self.depth = 0
        for position in cell_positions(
            search_space, cells=cells, channels=channels, width_growth=width_growth, output_node=output_node,
            splitting=splitting, joined_nodes=joined_nodes, stem=stem,
        ):  # fmt: skip
            cell = Cell(genotypes[position.kind], position, output_node, splitting, activation)
            self.add_module(f"cell{self.depth}", cell)
            channels_out = cell.output.channels_out
            self.depth += 1
        self.classifier = Classifier(channels_out, classes)

    @override
    def forward(self, images: Tensor) -> Tensor:
        """Return the logits [B, classes] of ``images`` [B, image_channels, H, W]."""
        drop_path = self.drop_path if self.training else DropPath()
        before = previous = self.stem_map(self.stem(images))
        if self.second_stem is not None and self.second_stem_map is not None:
            previous = self.second_stem_map(self.second_stem(before))
        for index in range(self.depth):
            cell = self.cell(index)
            states = cell.preprocess(before, previous)
            before = previous  # maps without further readers are freed here: this bounds peak memory
            previous = cell(states, drop_path)
            del states
        logits: Tensor = self.classifier(previous)
        return logits

    def cell(self, index: int) -> Cell:
        """Return cell ``index`` of the stack."""
        cell = self.get_submodule(f"cell{index}")
        assert isinstance(cell, Cell)
        return cell


class Cell(nn.Module):
    """One cell: two preprocessed inputs, two edges into every node, an output node.

    Every map that is stored until later layers read it is a tap with ``waiting=True``: ``state0`` and ``state1`` (the
    preprocessed inputs), ``state2``, ... (the nodes), ``edge0_map``, ... (the outputs of the edges) and ``joined``.
    """

    def __init__(
        self, genotype: CellGenotype, position: CellPosition, output_node: str, splitting: int,
        activation: Activation = "gelu",
    ) -> None:  # fmt: skip
        super().__init__()
        self.genotype = genotype
        width = position.channels
        if position.after_reduction:
            self.preprocess0: nn.Module = FactorizedReduce(position.channels_before, width, affine=True)
        else:
            self.preprocess0 = relu_conv_bn(position.channels_before, width, affine=True)
        self.preprocess1 = relu_conv_bn(position.channels_previous, width, affine=True)
        for index, (name, source) in enumerate(genotype.edges):
            stride = 2 if position.reduction and source < 2 else 1
            edge = primitive(name, width, stride, activation=activation)
            self.add_module(f"edge{index}", edge)
            if not isinstance(edge, nn.Identity):
                self.add_module(f"edge{index}_map", FeatureMap(waiting=True))
        for index in range(2 + genotype.nodes):
            self.add_module(f"state{index}", FeatureMap(waiting=True))
        self.output = OutputNode(output_node, splitting, len(genotype.concat), width)
        self.joined = FeatureMap(waiting=True)

    def preprocess(self, before: Tensor, previous: Tensor) -> list[Tensor]:
        """Return the first two states of cell k from the maps of cells k - 2 (``before``) and k - 1 (``previous``)."""
        return [
            self._tap("state0", self.preprocess0(before)),
            self._tap("state1", self.preprocess1(previous)),
        ]

    @override
    def forward(self, states: list[Tensor], drop_path: DropPath) -> Tensor:
        """Return the cell's map; ``states`` holds the first two states, and the nodes are appended to it."""
        for node in range(self.genotype.nodes):
            states.append(self._node(node, states, drop_path))
        joined: Tensor = self.joined(self.output([states[node] for node in self.genotype.concat]))
        return joined

    def _node(self, node: int, states: list[Tensor], drop_path: DropPath) -> Tensor:
        first, second = (
            self._edge(2 * node + offset, states[source], drop_path)
            for offset, (_, source) in enumerate(self.genotype.incoming(node))
        )
        return self._tap(f"state{2 + node}", first + second)

    def _edge(self, index: int, x: Tensor, drop_path: DropPath) -> Tensor:
        edge = self.get_submodule(f"edge{index}")
        if isinstance(edge, nn.Identity):
            return x
        return self._tap(f"edge{index}_map", drop_path(edge(x)))

    def _tap(self, name: str, x: Tensor) -> Tensor:
        tapped: Tensor = self.get_submodule(name)(x)
        return tapped
