"""What stands around the cells, the same for a supernet and a discrete network: stem, classifier, widths."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from search_space.normalization import BatchNorm
from search_space.space import SearchSpace, stage_widths
from search_space.splitting import output_channels

STEM_MULTIPLIER = 3


@dataclass(frozen=True)
class CellPlace:
    """One cell of the stack: its kind, its node width C, and the channels of the two maps that enter it."""

    kind: str
    channels: int
    channels_before: int
    channels_previous: int
    reduction: bool
    after_reduction: bool


def stem_channels(space: SearchSpace, channels: int) -> int:
    """Return the channels that leave the stem."""
    return channels * (STEM_MULTIPLIER if space.skeleton.stem == "conv" else 1)


def stem(space: SearchSpace, image_channels: int, channels: int, patch_size: int) -> nn.Module:
    """Return the stem: 3x3 convolution or patch embedding, then batch norm."""
    out = stem_channels(space, channels)
    if space.skeleton.stem == "patch":
        conv = nn.Conv2d(image_channels, out, patch_size, stride=patch_size, bias=False)
    else:
        conv = nn.Conv2d(image_channels, out, 3, padding=1, bias=False)
    return nn.Sequential(conv, BatchNorm(out))


def places(
    space: SearchSpace, *, cells: int, channels: int, width_growth: float, output_node: str, splitting: int,
    joined: dict[str, int],
) -> Iterator[CellPlace]:  # fmt: skip
    """Yield the cells of a stack from the stem to the classifier; ``joined``: concatenated nodes of each kind."""
    reductions = space.skeleton.reduction_cells(cells)
    before = previous = stem_channels(space, channels)
    widths = stage_widths(space, cells=cells, channels=channels, width_growth=width_growth)
    for index, width in enumerate(widths):
        kind = "reduce" if index in reductions else "normal"
        yield CellPlace(kind, width, before, previous, index in reductions, index - 1 in reductions)
        before, previous = previous, output_channels(output_node, splitting, joined[kind], width)


class Classifier(nn.Module):
    """Global average pooling and a linear layer: [B, C, H, W] -> [B, classes]."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.linear(x.mean(dim=(2, 3)))
        return logits
