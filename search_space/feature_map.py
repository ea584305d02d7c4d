"""Feature-map taps: the named places where maps are regularized, pruned, quantized and counted.

A tap is an identity until somebody listens. Training listens to add the lambda term, the ladder listens to set
small features to zero and to count what is left; the network itself knows of neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor, nn

Listener = Callable[[Tensor], Tensor]


class FeatureMap(nn.Module):
    """An identity that hands the map to its listener, if there is one, and goes on with what the listener returns.

    Args:
        rectified: the map comes out of a ReLU: nothing in it is negative, and no gradient passes where it is zero.
        normalized: the map comes out of a softmax: its mean is the same whatever the network does.
        waiting: the map is what a cell keeps until its readers come. It is pruned, quantized and counted like any
            other, but the lambda term leaves it to the taps of its readers.
    """

    def __init__(self, *, rectified: bool = False, normalized: bool = False, waiting: bool = False) -> None:
        super().__init__()
        self.rectified, self.normalized, self.waiting = rectified, normalized, waiting
        self.listener: Listener | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Return the map, or what the listener makes of it."""
        return x if self.listener is None else self.listener(x)


def taps(network: nn.Module) -> dict[str, FeatureMap]:
    """Return the taps of ``network`` by their dotted names, in the order of the module tree.

    Names read ``cell3.edge0.input`` or ``cell1.edge2.query``: the cell, the place in it, the map.
    """
    return {name: module for name, module in network.named_modules() if isinstance(module, FeatureMap)}


@contextmanager
def listening(network: nn.Module, listeners: Mapping[str, Listener]) -> Iterator[None]:
    """Attach ``listeners`` (by tap name) for the duration of a ``with`` block."""
    places = taps(network)
    for name, listener in listeners.items():
        places[name].listener = listener
    try:
        yield
    finally:
        for name in listeners:
            places[name].listener = None
