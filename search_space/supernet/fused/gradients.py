"""The gradients of a cell's nodes in one tensor, where the backward pass of every source reads those it needs.

Shapes: B batch, C channels, H height, W width; N nodes, n positions of a node.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class NodeGradients:
    """Gradients of N nodes, [N, n, C], filled from the last node to the first while the backward pass runs.

    A source is read by the last E nodes. When its backward pass runs, the gradients of all of them are complete. Those
    of the last nodes are in their place already, because the next source needed them, too.
    """

    def __init__(self, nodes: int) -> None:
        self.nodes = nodes
        self._maps: Tensor | None = None
        self._filled = 0

    def of_last(
        self,
        edges: int,
        node: list[Tensor | None] | None,
        rest: Tensor | None,
        shape: Sequence[int],
        like: Tensor,
    ) -> Tensor:
        """Return the gradients of the last ``edges`` nodes, [E, n, C].

        Args:
            edges: E.
            node: the parts whose sum is the gradient of the first of these nodes, [B, C, H, W]; None: its gradient is
                in ``rest``.
            rest: the gradients of the others, as the next source returned them; None: they are zero.
            shape: of a node's map.
            like: a tensor with the dtype and the device of the maps.
        """
        others = edges if node is None else edges - 1
        if self._maps is None or self._filled != others or rest is None:
            batch, channels, height, width = shape
            self._maps = like.new_empty(self.nodes, batch * height * width, channels)
            if others:
                last = self._maps[self.nodes - others :]
                last.zero_() if rest is None else last.copy_(rest)
        first = self.nodes - edges
        if node is not None:
            _write_sum(self._maps[first], node, shape)
        found = self._maps[first:]
        self._filled = edges
        if node is None and first == 0:  # the first source is the last one in the backward pass
            self._maps = None
        return found


def _write_sum(rows: Tensor, parts: list[Tensor | None], shape: Sequence[int]) -> None:
    batch, channels, height, width = shape
    out = rows.view(batch, height, width, channels).permute(0, 3, 1, 2)
    present = [part for part in parts if part is not None]
    if len(present) == 2:
        torch.add(*present, out=out)
    elif present:
        out.copy_(present[0])
    else:
        out.zero_()
