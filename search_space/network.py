"""The discrete network of a genotype: what a search leaves behind, trained from scratch and deployed.

With ``output_node="concat"`` and a published DARTS genotype this is exactly the network of that paper.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from search_space.genotype import CellGenotype, Genotype
from search_space.output_node import OutputNode
from search_space.primitives import FactorizedReduce, primitive, relu_conv_bn
from search_space.skeleton import CellPlace, Classifier, places, stem
from search_space.space import SPACES, SpaceError, check_fit


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
        self.genotype, self.drop_path = genotype, drop_path
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
        before = previous = self.stem(images)
        for index in range(self.depth):
            cell = self.get_submodule(f"cell{index}")
            before, previous = previous, cell(before, previous, self.drop_path if self.training else 0.0)
        logits: Tensor = self.classifier(previous)
        return logits


class Cell(nn.Module):
    """One cell: two preprocessed inputs, two edges into every node, an output node."""

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
            self.add_module(f"edge{index}", primitive(name, width, stride))
        self.output = OutputNode(output_node, splitting, len(genotype.concat), width)

    def forward(self, before: Tensor, previous: Tensor, drop_path: float) -> Tensor:
        states = [self.preprocess0(before), self.preprocess1(previous)]
        for node in range(self.genotype.nodes):
            entering = []
            for offset, (_, source) in enumerate(self.genotype.incoming(node)):
                edge = self.get_submodule(f"edge{2 * node + offset}")
                out = edge(states[source])
                entering.append(out if isinstance(edge, nn.Identity) else _drop_path(out, drop_path))
            states.append(entering[0] + entering[1])
        joined: Tensor = self.output([states[node] for node in self.genotype.concat])
        return joined


def _drop_path(x: Tensor, probability: float) -> Tensor:
    """Drop the whole map of an image with ``probability`` and scale the others up (Larsson et al., ICLR 2017)."""
    if probability == 0.0:
        return x
    keep = 1.0 - probability
    mask = torch.empty(x.shape[0], 1, 1, 1, device=x.device, dtype=x.dtype).bernoulli_(keep)
    return x * mask / keep
