"""The discrete network of a genotype: what a search leaves behind, trained from scratch and deployed.

With ``output_node="concat"`` and a published DARTS genotype this is exactly the network of that paper.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from search_space.feature_map import FeatureMap
from search_space.genotype import CellGenotype, Genotype
from search_space.output_node import OutputNode
from search_space.primitives import FactorizedReduce, primitive, relu_conv_bn
from search_space.skeleton import CellPlace, Classifier, places, stem
from search_space.space import SPACES, SpaceError, check_fit


@dataclass(frozen=True)
class DropPath:
    """Drops the whole map of an image with ``probability``, and scales the others up (Larsson et al., ICLR 2017).

    Ranks that train together draw alike, the mask of the whole batch, and each takes the part of its own images: n
    ranks with an n-th of the batch each drop what one rank would.
    """

    probability: float = 0.0
    rank: int = 0
    world_size: int = 1

    def __call__(self, x: Tensor) -> Tensor:
        """Return ``x`` [B, C, H, W], B being this rank's share of the batch, without the maps that are dropped."""
        if self.probability == 0.0:
            return x
        keep, images = 1.0 - self.probability, x.shape[0]
        mask = x.new_empty(images * self.world_size, 1, 1, 1).bernoulli_(keep)
        return x * mask[images * self.rank :][:images] / keep


class Network(nn.Module):
    """Images [B, image_channels, H, W] -> logits [B, classes].

    Args:
        genotype: the cells.
        channels: node width C of the first cell.
        cells: cells in the stack.
        classes: classes of the classifier.
        output_node, splitting: how a cell's nodes are joined (:class:`OutputNode`).
        space: name of the search space, for its skeleton.
        image_channels: channels of an image.
        width_growth: multiplies the node width of every cell.
        patch_size: pixels a side of one patch (patch embedding only).
        drop_path: probability that an edge is dropped for an image in training.

    Raises:
        SplittingError, SpaceError: sizes that do not fit together.
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
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.genotype, self.drop_path = genotype, DropPath(drop_path)
        kinds = genotype.cells()
        home = SPACES[space]
        if missing := set(home.cell_kinds()) - set(kinds):
            raise SpaceError(
                f"space {space} needs a genotype with a {missing.pop()} cell, but got {genotype}"
            )
        for kind in home.cell_kinds():
            check_fit(
                home, cells=cells, channels=channels, nodes=len(kinds[kind].concat), output_node=output_node,
                splitting=splitting, width_growth=width_growth, patch_size=patch_size, primitives=(),
            )  # fmt: skip
        self.stem = stem(home, image_channels, channels, patch_size)
        self.stem_map = FeatureMap(waiting=True)
        joined = {kind: len(cell.concat) for kind, cell in kinds.items()}
        channels_out = 0
        self.depth = 0
        for place in places(
            home, cells=cells, channels=channels, width_growth=width_growth, output_node=output_node,
            splitting=splitting, joined=joined,
        ):  # fmt: skip
            cell = Cell(kinds[place.kind], place, output_node, splitting)
            self.add_module(f"cell{self.depth}", cell)
            channels_out = cell.output.channels_out
            self.depth += 1
        self.classifier = Classifier(channels_out, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits [B, classes] of ``images`` [B, C, H, W]."""
        drop_path = self.drop_path if self.training else DropPath()
        before = previous = self.stem_map(self.stem(images))
        for index in range(self.depth):
            cell = self.cell(index)
            states = cell.preprocess(before, previous)
            before = previous  # what has had its last reader is let go: this is the peak of an inference
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

    Every map that waits for its readers is a tap: ``state0`` and ``state1`` (the inputs), ``state2`` and on (the
    nodes), ``edge0_map`` and on (what an edge adds to its node) and ``joined``.
    """

    def __init__(self, genotype: CellGenotype, place: CellPlace, output_node: str, splitting: int) -> None:
        super().__init__()
        self.genotype = genotype
        width = place.channels
        if place.after_reduction:
            self.preprocess0: nn.Module = FactorizedReduce(place.channels_before, width, affine=True)
        else:
            self.preprocess0 = relu_conv_bn(place.channels_before, width, affine=True)
        self.preprocess1 = relu_conv_bn(place.channels_previous, width, affine=True)
        for index, (name, source) in enumerate(genotype.edges):
            stride = 2 if place.reduction and source < 2 else 1
            edge = primitive(name, width, stride)
            self.add_module(f"edge{index}", edge)
            if not isinstance(edge, nn.Identity):
                self.add_module(f"edge{index}_map", FeatureMap(waiting=True))
        for index in range(2 + genotype.nodes):
            self.add_module(f"state{index}", FeatureMap(waiting=True))
        self.output = OutputNode(output_node, splitting, len(genotype.concat), width)
        self.joined = FeatureMap(waiting=True)

    def preprocess(self, before: Tensor, previous: Tensor) -> list[Tensor]:
        """Return the first two states: the outputs of the cell before the previous one and of the previous one."""
        return [
            self._kept("state0", self.preprocess0(before)),
            self._kept("state1", self.preprocess1(previous)),
        ]

    def forward(self, states: list[Tensor], drop_path: DropPath) -> Tensor:
        """Return the cell's map; ``states``: the first two, the nodes are added to the list."""
        for node in range(self.genotype.nodes):
            states.append(self._node(node, states, drop_path))
        joined: Tensor = self.joined(self.output([states[node] for node in self.genotype.concat]))
        return joined

    def _node(self, node: int, states: list[Tensor], drop_path: DropPath) -> Tensor:
        first, second = (
            self._edge(2 * node + offset, states[source], drop_path)
            for offset, (_, source) in enumerate(self.genotype.incoming(node))
        )
        return self._kept(f"state{2 + node}", first + second)

    def _edge(self, index: int, x: Tensor, drop_path: DropPath) -> Tensor:
        edge = self.get_submodule(f"edge{index}")
        if isinstance(edge, nn.Identity):
            return x
        return self._kept(f"edge{index}_map", drop_path(edge(x)))

    def _kept(self, name: str, x: Tensor) -> Tensor:
        kept: Tensor = self.get_submodule(name)(x)
        return kept
