"""The arithmetic of the output node: which s is allowed, and how many channels come out.

N concatenated nodes, C channels a node, s = ``splitting``. Kept free of torch, so that a sweep file can be
checked without loading it; ``output_node.OutputNode`` is the layer itself.
"""

from __future__ import annotations

from shrinksweep import ShrinksweepError

OUTPUT_NODES = ("concat", "node_groups", "channel_groups", "partial")


class SplittingError(ShrinksweepError, ValueError):
    """An output node, a width and a splitting parameter that do not fit together."""


def output_channels(output_node: str, splitting: int, nodes: int, channels: int) -> int:
    """Return the channels that leave a cell of ``nodes`` concatenated nodes, each ``channels`` wide.

    ``concat``: N C. ``node_groups``: s C, s divides N. ``channel_groups``: C, s divides C.
    ``partial``: C + (N - 1) C / s, s divides C.

    Raises:
        SplittingError: the output node is unknown, or s does not divide what it has to divide.
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


def _require_divides(splitting: int, total: int, what: str) -> None:
    if total % splitting:
        raise SplittingError(f"`splitting` must divide {what}, but got splitting={splitting}")
