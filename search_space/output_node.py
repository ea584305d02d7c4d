"""The output node of a cell: joins N intermediate maps into one, by concatenation or averaging (Shrink DARTS).

Averaging divides the input channels of the 1x1 preprocessing of the next two cells by up to N. The four
interpretations of the splitting parameter s are named options; ``splitting.output_channels`` counts their channels.

Shapes: B batch, C channels of a node, H height, W width; N nodes, s splitting.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from typing_extensions import override

from search_space.feature_map import FeatureMap
from search_space.splitting import output_channels


class OutputNode(nn.Module):
    """Joins N maps [B, C, H, W] into one map [B, ``channels_out``, H, W].

    ``concat`` concatenates the maps. ``node_groups`` averages the maps in each of s groups of N/s consecutive nodes and
    concatenates the means. ``channel_groups`` concatenates all maps, splits their channels into s contiguous groups and
    averages in each group channels j, j + C/s, j + 2 C/s, ... ``partial`` concatenates the first C/s channels of every
    map and the mean of the remaining channels over the maps; s = 1 concatenates everything.

    Args:
        output_node: ``concat``, ``node_groups``, ``channel_groups`` or ``partial``.
        splitting: s; ``concat`` ignores it.
        nodes: N, the number of joined maps.
        channels: C, the channels of each map.

    Raises:
        SplittingError: s does not divide N (``node_groups``) or C (``channel_groups``, ``partial``).
    """

    def __init__(self, output_node: str, splitting: int, nodes: int, channels: int) -> None:
        super().__init__()
        self.channels_out = output_channels(output_node, splitting, nodes, channels)
        self.output_node, self.splitting, self.nodes, self.channels = output_node, splitting, nodes, channels
        # A mean that is not the whole output is a map of its own, which waits until it is concatenated.
        parts = {"node_groups": splitting, "channel_groups": splitting, "partial": 2 if splitting > 1 else 1}
        several = parts.get(output_node, 1) > 1
        self.means = nn.ModuleList(
            FeatureMap(waiting=True) for _ in range(1 if output_node == "partial" else splitting) if several
        )

    @override
    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return the joined map [B, ``channels_out``, H, W] of the N node ``maps``."""
        if self.output_node == "node_groups":
            size = self.nodes // self.splitting
            return self._joined([maps[first : first + size] for first in range(0, self.nodes, size)])
        if self.output_node == "partial" and self.splitting > 1:
            kept = self.channels // self.splitting
            mean = self.means[0](_mean([x[:, kept:] for x in maps]))
            return torch.cat([*(x[:, :kept] for x in maps), mean], dim=1)
        if self.output_node == "channel_groups":
            return self._channel_group_means(maps)
        return torch.cat(list(maps), dim=1)

    def _channel_group_means(self, maps: Sequence[Tensor]) -> Tensor:
        """Average the channel groups without joining the maps: a group is N consecutive slices of C/s channels."""
        pieces = [piece for x in maps for piece in x.split(self.channels // self.splitting, dim=1)]
        # s groups of N maps [B, C/s, H, W]
        return self._joined(
            [pieces[first : first + self.nodes] for first in range(0, len(pieces), self.nodes)]
        )

    def _joined(self, groups: Sequence[Sequence[Tensor]]) -> Tensor:
        """Concatenate the means of the groups."""
        if len(groups) == 1:
            return _mean(groups[0])
        return torch.cat([tap(_mean(group)) for tap, group in zip(self.means, groups, strict=True)], dim=1)

    @override
    def extra_repr(self) -> str:
        return (
            f"{self.output_node}, s={self.splitting}, {self.nodes} x {self.channels} -> {self.channels_out}"
        )


def _mean(maps: Sequence[Tensor]) -> Tensor:
    if len(maps) == 1:
        return maps[0]
    total = maps[0] + maps[1]
    for x in maps[2:]:
        total += x
    total /= len(maps)
    return total
