"""PC-DARTS: primitives see a K-th of the channels, and every edge has a weight of its own.

Xu et al., PC-DARTS: Partial Channel Connections for Memory-Efficient Architecture Search, ICLR 2020. The step is
DARTS's first-order step on that supernet.
"""

from __future__ import annotations

from typing import Any

from trials.config import SearchConfig
from trials.search.darts import FirstOrder


class PartialChannels(FirstOrder):
    """First-order search on a supernet with partial channels and edge normalization."""

    @staticmethod
    def supernet_options(config: SearchConfig) -> dict[str, Any]:
        return {"partial_channels": config.partial_channels, "edge_normalization": True}
