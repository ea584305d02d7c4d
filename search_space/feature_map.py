"""Feature-map taps: named identities at which maps are regularized, pruned, quantized and counted.

A tap passes its map through unchanged until a listener is attached. Training attaches listeners that collect the lambda
term; the ladder attaches listeners that prune, quantize and count. The network itself depends on neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor, nn
from typing_extensions import override

Listener = Callable[[Tensor], Tensor]
"""Receives a tap's map and returns the map that the network continues with."""


class FeatureMap(nn.Module):
    """An identity, unless a listener is attached: then the listener's result replaces the map.

    Args:
        rectified: the map is the output of a ReLU, or its square: no value is negative, and no gradient passes where it
            is zero.
        normalized: the map is the output of a softmax: its mean does not depend on the network.
        waiting: the map is stored until later layers read it. It is pruned, quantized and counted like any other map.
            The tap pattern ``*`` of the lambda term skips it: the taps of the layers that read it are penalized.
        linear: the map is the input of a linear layer, which was no tap in version 0.1.
    """

    def __init__(
        self,
        *,
        rectified: bool = False,
        normalized: bool = False,
        waiting: bool = False,
        linear: bool = False,
    ) -> None:
        super().__init__()
        self.rectified, self.normalized, self.waiting, self.linear = rectified, normalized, waiting, linear
        self.listener: Listener | None = None
        self.inside: Tensor | None = None
        """Indices of the features of one image that are no padding, int64 [n], in the flattened map; None: all. The
        windows of attention are padded where they extend beyond the map."""

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Return the map, or the listener's result."""
        return x if self.listener is None else self.listener(x)

    def features(self, x: Tensor) -> Tensor:
        """Return the map ``x`` [B, ...] without its padding: [B, n], or ``x`` itself if it has none."""
        return x if self.inside is None else x.flatten(1)[:, self.inside]


def taps(network: nn.Module) -> dict[str, FeatureMap]:
    """Return the taps of ``network`` by dotted module name, in the order of the module tree.

    Names look like ``cell3.edge0.input`` or ``cell1.edge2.query``: cell, module in the cell, map.
    """
    return {name: module for name, module in network.named_modules() if isinstance(module, FeatureMap)}


@contextmanager
def listening(network: nn.Module, listeners: Mapping[str, Listener]) -> Iterator[None]:
    """Attach ``listeners`` (by tap name) for the duration of a ``with`` block.

    Inside another such block, a tap's new listener receives what the earlier one returns.
    """
    named = taps(network)
    earlier = {name: named[name].listener for name in listeners}
    for name, listener in listeners.items():
        named[name].listener = _after(earlier[name], listener)
    try:
        yield
    finally:
        for name, listener_before in earlier.items():
            named[name].listener = listener_before


def _after(first: Listener | None, second: Listener) -> Listener:
    return second if first is None else lambda x: second(first(x))
