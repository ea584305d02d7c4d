"""The skeleton around the cells, shared by supernet and discrete network: stem, cell sizes, classifier."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn
from typing_extensions import override

from search_space.feature_map import FeatureMap
from search_space.normalization import BatchNorm
from search_space.primitives import ConvBlock
from search_space.space import SearchSpace, StemName, stage_widths
from search_space.splitting import output_channels

STEM_MULTIPLIER = 3
"""Channels of the stem ``cifar`` in multiples of the node width, as in DARTS."""


@dataclass(frozen=True)
class CellPosition:
    """Position of a cell in the stack, and the sizes that follow from it.

    Attributes:
        kind: ``normal`` or ``reduce``.
        channels: node width C.
        channels_before: channels of the output of the cell before the previous one, or of the stem.
        channels_previous: channels of the output of the previous cell, or of the stem.
        reduction: whether the cell halves height and width.
        after_reduction: whether the previous cell does, or for the first cell the second part of the stem.
    """

    kind: str
    channels: int
    channels_before: int
    channels_previous: int
    reduction: bool
    after_reduction: bool


def stem_channels(space: SearchSpace, channels: int, name: StemName = "cifar") -> int:
    """Return the number of output channels of the stem."""
    return channels * (STEM_MULTIPLIER if space.skeleton.stem == "conv" and name == "cifar" else 1)


def stem(
    space: SearchSpace, image_channels: int, channels: int, patch_size: int, name: StemName = "cifar"
) -> nn.Module:
    """Return the stem: 3x3 convolution, the first two of ``imagenet``, or patch embedding; each with batch norm."""
    channels_out = stem_channels(space, channels, name)
    if space.skeleton.stem == "patch":
        conv = nn.Conv2d(image_channels, channels_out, patch_size, stride=patch_size, bias=False)
    elif name == "imagenet":
        half = channels // 2
        conv = nn.Conv2d(image_channels, half, 3, stride=2, padding=1, bias=False)
        return nn.Sequential(nn.Sequential(conv, BatchNorm(half)), _halving_block(half, channels))
    else:
        conv = nn.Conv2d(image_channels, channels_out, 3, padding=1, bias=False)
    return nn.Sequential(conv, BatchNorm(channels_out))


def second_stem(channels: int, name: StemName) -> nn.Module | None:
    """Return what computes the second input of the first cell from the first: the last convolution of ``imagenet``.

    None: both inputs of the first cell are the map of the :func:`stem`.
    """
    return _halving_block(channels, channels) if name == "imagenet" else None


def _halving_block(channels_in: int, channels_out: int) -> ConvBlock:
    """Return ReLU, 3x3 convolution of stride 2, batch norm."""
    return ConvBlock([nn.Conv2d(channels_in, channels_out, 3, stride=2, padding=1, bias=False)], affine=True)


def cell_positions(
    space: SearchSpace, *, cells: int, channels: int, width_growth: float, output_node: str, splitting: int,
    joined_nodes: dict[str, int], stem: StemName = "cifar",
) -> Iterator[CellPosition]:  # fmt: skip
    """Yield the cell positions from the stem to the classifier.

    ``joined_nodes`` holds the number of nodes that a cell joins at its output, by kind of cell. The second convolution
    of the stem ``imagenet`` halves height and width, so the first cell comes after a reduction.
    """
    reductions = space.skeleton.reduction_cells(cells)
    halved = {index + 1 for index in reductions} | ({0} if stem == "imagenet" else set())
    before = previous = stem_channels(space, channels, stem)
    widths = stage_widths(space, cells=cells, channels=channels, width_growth=width_growth)
    for index, width in enumerate(widths):
        kind = "reduce" if index in reductions else "normal"
        yield CellPosition(kind, width, before, previous, index in reductions, index in halved)
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
