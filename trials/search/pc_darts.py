"""PC-DARTS: primitives see 1/K of the channels, and every edge has a weight of its own.

Xu et al., PC-DARTS: Partial Channel Connections for Memory-Efficient Architecture Search, ICLR 2020. The alphas take
first-order DARTS steps on this supernet.
"""

from __future__ import annotations

from typing_extensions import override

from trials.config import SearchConfig
from trials.search.darts import FirstOrder, SupernetOptions


class PartialChannels(FirstOrder):
    """First-order search on a supernet with partial channels and edge normalization."""

    @override
    @staticmethod
    def supernet_options(config: SearchConfig) -> SupernetOptions:
        return {"partial_channels": config.partial_channels, "edge_normalization": True}
