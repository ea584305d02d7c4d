"""The skeleton around the cells, shared by supernet and discrete network: stem, cell sizes, classifier."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn
from typing_extensions import override

from search_space.feature_map import FeatureMap
from search_space.normalization import BatchNorm
from search_space.space import SearchSpace, stage_widths
from search_space.splitting import output_channels

STEM_MULTIPLIER = 3
"""Channels of the convolutional stem in multiples of the node width, as in DARTS."""


@dataclass(frozen=True)
class CellPosition:
    """Position of a cell in the stack, and the sizes that follow from it.

    Attributes:
        kind: ``normal`` or ``reduce``.
        channels: node width C.
        channels_before: channels of the output of the cell before the previous one, or of the stem.
        channels_previous: channels of the output of the previous cell, or of the stem.
        reduction: whether the cell halves height and width.
        after_reduction: whether the previous cell does.
    """

    kind: str
    channels: int
    channels_before: int
    channels_previous: int
    reduction: bool
    after_reduction: bool


def stem_channels(space: SearchSpace, channels: int) -> int:
    """Return the number of output channels of the stem."""
    return channels * (STEM_MULTIPLIER if space.skeleton.stem == "conv" else 1)


def stem(space: SearchSpace, image_channels: int, channels: int, patch_size: int) -> nn.Module:
    """Return the stem: 3x3 convolution or patch embedding, then batch norm."""
    channels_out = stem_channels(space, channels)
    if space.skeleton.stem == "patch":
        conv = nn.Conv2d(image_channels, channels_out, patch_size, stride=patch_size, bias=False)
    else:
        conv = nn.Conv2d(image_channels, channels_out, 3, padding=1, bias=False)
    return nn.Sequential(conv, BatchNorm(channels_out))


def cell_positions(
    space: SearchSpace, *, cells: int, channels: int, width_growth: float, output_node: str, splitting: int,
    joined_nodes: dict[str, int],
) -> Iterator[CellPosition]:  # fmt: skip
    """Yield the cell positions from the stem to the classifier.

    ``joined_nodes`` holds the number of nodes that a cell joins at its output, by kind of cell.
    """
    reductions = space.skeleton.reduction_cells(cells)
    before = previous = stem_channels(space, channels)
    widths = stage_widths(space, cells=cells, channels=channels, width_growth=width_growth)
    for index, width in enumerate(widths):
        kind = "reduce" if index in reductions else "normal"
        yield CellPosition(kind, width, before, previous, index in reductions, index - 1 in reductions)
        before, previous = previous, output_channels(output_node, splitting, joined_nodes[kind], width)


class Classifier(nn.Module):
    """Global average pooling and a linear layer: [B, C, H, W] -> logits [B, classes]."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.input = FeatureMap(linear=True)
        self.linear = nn.Linear(channels, classes)

    @override
    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.linear(self.input(x.mean(dim=(2, 3))))
        return logits
