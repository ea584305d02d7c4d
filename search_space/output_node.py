"""The output node of a cell: joins N intermediate maps into one, concatenated or averaged (Shrink DARTS).

Averaging shrinks what the next cells' two 1x1 preprocessings read, by up to N times. The four readings of the
splitting parameter s are named options; ``splitting.output_channels`` holds their arithmetic.

Shapes: B batch, C channels a node, N nodes, s splitting.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from search_space.splitting import output_channels


class OutputNode(nn.Module):
    """Join ``nodes`` maps [B, C, H, W] into one map [B, ``channels_out``, H, W].

    Args:
        output_node: ``concat``, ``node_groups``, ``channel_groups`` or ``partial``.
        splitting: s.
        nodes: N, the number of joined maps.
        channels: C, the channels of each of them.

    Raises:
        SplittingError: s does not divide N (``node_groups``) or C (``channel_groups``, ``partial``).
    """

    def __init__(self, output_node: str, splitting: int, nodes: int, channels: int) -> None:
        super().__init__()
        self.channels_out = output_channels(output_node, splitting, nodes, channels)
        self.output_node, self.splitting, self.nodes, self.channels = output_node, splitting, nodes, channels

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return the joined map; ``maps`` are the N node maps in order."""
        if self.output_node == "node_groups":
            size = self.nodes // self.splitting
            groups = [_mean(maps[first : first + size]) for first in range(0, self.nodes, size)]
            return groups[0] if len(groups) == 1 else torch.cat(groups, dim=1)
        if self.output_node == "partial" and self.splitting > 1:
            kept = self.channels // self.splitting
            mean = _mean([one[:, kept:] for one in maps])
            return torch.cat([*(one[:, :kept] for one in maps), mean], dim=1)
        if self.output_node == "channel_groups":
            return self._mean_inside_groups(maps)
        return torch.cat(list(maps), dim=1)

    def _mean_inside_groups(self, maps: Sequence[Tensor]) -> Tensor:
        """Average, in each of s contiguous groups of the joined channels, channels j, j + C/s, ... into channel j.

        The maps are never joined: N pieces of C/s channels each, in the order of the joined map, are a group.
        """
        pieces = [piece for one in maps for piece in one.split(self.channels // self.splitting, dim=1)]
        groups = [
            _mean(pieces[first : first + self.nodes]) for first in range(0, len(pieces), self.nodes)
        ]  # s of [B, C/s, H, W]
        return groups[0] if len(groups) == 1 else torch.cat(groups, dim=1)

    def extra_repr(self) -> str:
        return (
            f"{self.output_node}, s={self.splitting}, {self.nodes} x {self.channels} -> {self.channels_out}"
        )


def _mean(maps: Sequence[Tensor]) -> Tensor:
    if len(maps) == 1:
        return maps[0]
    total = maps[0] + maps[1]
    for one in maps[2:]:
        total += one
    total /= len(maps)
    return total
