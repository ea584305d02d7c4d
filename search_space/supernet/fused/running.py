"""Running statistics of a cell, updated in two operations for all its nodes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from search_space.normalization import MOMENTUM, BatchNorm
from search_space.primitives import FactorizedReduce
from search_space.supernet.fused.stage import Stage
from search_space.supernet.mixed import MixedNode
from search_space.supernet.projection import ProjectNorm
from search_space.supernet.sources import SourceForms


class RunningStatistics:
    """Pairs of a running statistic [C] and the same statistic of this batch."""

    def __init__(self) -> None:
        self._rows: dict[int, tuple[Tensor, dict[int, Tensor]]] = {}

    def add(self, stage: Stage, forms: SourceForms, nodes: Sequence[MixedNode], source: int) -> None:
        """Add the statistics of one source.

        Args:
            stage: of the source, after its forward pass.
            forms: of the source; its pools have batch norms.
            nodes: those that read the source.
            source: its number; also the edge of each node.
        """
        assert stage.statistics is not None
        middle, last, pools = stage.statistics
        plan = stage.plan
        separable, dilated = len(plan.separable), len(plan.dilated)
        for reader, node in enumerate(nodes):
            width = len(node.strides)

            def row(kind: int, reader: int = reader) -> int:
                return kind * plan.edges + reader

            for kind in range(separable):
                if middle is not None:
                    self._add(node.middle, kind * width + source, middle, row(kind))
                self._add(node.last, kind * width + source, last, row(dilated + plan.factorized + kind))
            for kind in range(dilated):
                self._add(node.last, (separable + kind) * width + source, last, row(kind))
            if plan.factorized:
                module = node.modules_on_edges[f"skip_connect_{source}"]
                assert isinstance(module, FactorizedReduce)
                self._add(module.bn, 0, last, row(dilated))
        for kind, name in enumerate(plan.pools):
            norm = forms.pools[name].norm
            assert isinstance(norm, BatchNorm)
            assert pools is not None
            self._add(norm, 0, pools, kind)

    def _add(self, module: ProjectNorm | BatchNorm, row: int, statistics: Tensor, index: int) -> None:
        """Add mean and variance ``index`` of ``statistics`` [3, Q, C] as row ``row`` of the module's."""
        for buffer, values in ((module.running_mean, statistics[0]), (module.running_var, statistics[1])):
            assert buffer is not None
            self._rows.setdefault(id(buffer), (buffer, {}))[1][row] = values[index]

    @torch.no_grad()
    def update(self) -> None:
        """Move every running statistic towards that of this batch."""
        buffers = [buffer for buffer, _ in self._rows.values()]
        values = torch.cat([rows[row] for _, rows in self._rows.values() for row in sorted(rows)])
        parts = values.split([buffer.numel() for buffer in buffers])
        batch = [part.view(buffer.shape) for part, buffer in zip(parts, buffers, strict=True)]
        torch._foreach_lerp_(buffers, batch, MOMENTUM)
