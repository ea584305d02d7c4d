"""Channel arithmetic of the output node: which s is valid, and the number of output channels.

N concatenated nodes, C channels of a node, s = ``splitting``. This module does not import torch, so that checking a
sweep file does not either. The layer itself is ``output_node.OutputNode``.
"""

from __future__ import annotations

from shrinksweep import ShrinksweepError

OUTPUT_NODES = ("concat", "node_groups", "channel_groups", "partial")


class SplittingError(ShrinksweepError, ValueError):
    """An output node, a width and a splitting parameter that do not fit together."""


def output_channels(output_node: str, splitting: int, nodes: int, channels: int) -> int:
    """Return the output channels of a cell with ``nodes`` concatenated nodes of ``channels`` channels each.

    ``concat``: N C. ``node_groups``: s C, where s divides N. ``channel_groups``: C, where s divides C.
    ``partial``: C + (N - 1) C / s, where s divides C.

    Raises:
        SplittingError: the output node is unknown, or s does not divide N or C as required.
    """
    if output_node not in OUTPUT_NODES:
        raise SplittingError(
            f"`output_node` must be one of {', '.join(OUTPUT_NODES)}, but got {output_node!r}"
        )
    if splitting < 1:
        raise SplittingError(f"`splitting` must be at least 1, but got splitting={splitting}")
    if output_node == "concat":
        return nodes * channels
    if output_node == "node_groups":
        _require_divides(splitting, nodes, f"the {nodes} concatenated nodes")
        return splitting * channels
    _require_divides(splitting, channels, f"the node width of {channels} channels")
    return channels if output_node == "channel_groups" else channels + (nodes - 1) * (channels // splitting)


def _require_divides(splitting: int, total: int, description: str) -> None:
    if total % splitting:
        raise SplittingError(f"`splitting` must divide {description}, but got splitting={splitting}")
