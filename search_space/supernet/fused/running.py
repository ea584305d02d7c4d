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
        self._buffers: dict[int, tuple[Tensor, dict[int, Tensor]]] = {}  # each buffer, and its rows by number

    def add(self, stage: Stage, forms: SourceForms, nodes: Sequence[MixedNode], source: int) -> None:
        """Add the statistics of one source.

        Args:
            stage: of the source, after its forward pass.
            forms: of the source; its pools have batch norms.
            nodes: those that read the source.
            source: its number; also the edge of each node.
        """
        assert stage.statistics is not None
        middle, last, pools = (_rows(part) for part in stage.statistics)
        plan = stage.plan
        separable, dilated = len(plan.separable), len(plan.dilated)
        for reader, node in enumerate(nodes):
            of_kind = slice(reader, None, plan.edges)  # the terms of this edge, by kind
            width = len(node.strides)
            for kind, row in enumerate(middle[of_kind]):
                self._add(node.middle, kind * width + source, row)
            rows = last[of_kind]
            for kind in range(dilated):
                self._add(node.last, (separable + kind) * width + source, rows[kind])
            for kind in range(separable):
                self._add(node.last, kind * width + source, rows[kind - separable])
            if plan.factorized:
                module = node.modules_on_edges[f"skip_connect_{source}"]
                assert isinstance(module, FactorizedReduce)
                self._add(module.bn, 0, rows[dilated])
        for name, row in zip(plan.pools, pools, strict=True):
            norm = forms.pools[name].norm
            assert isinstance(norm, BatchNorm)
            self._add(norm, 0, row)

    def _add(self, module: ProjectNorm | BatchNorm, row: int, statistics: Sequence[Tensor]) -> None:
        """Add mean and variance as row ``row`` of the running statistics of ``module``."""
        for buffer, value in zip((module.running_mean, module.running_var), statistics, strict=True):
            assert buffer is not None
            self._buffers.setdefault(id(buffer), (buffer, {}))[1][row] = value

    @torch.no_grad()
    def update(self) -> None:
        """Move every running statistic towards that of this batch."""
        buffers = [buffer for buffer, _ in self._buffers.values()]
        values = torch.cat([rows[row] for _, rows in self._buffers.values() for row in sorted(rows)])
        parts = values.split([buffer.numel() for buffer in buffers])
        batch = [part.view(buffer.shape) for part, buffer in zip(parts, buffers, strict=True)]
        torch._foreach_lerp_(buffers, batch, MOMENTUM)


def _rows(statistics: Tensor | None) -> list[tuple[Tensor, Tensor]]:
    """Return mean and variance of every row of statistics [3, Q, C]; nothing for what a stage does not have."""
    return (
        [] if statistics is None else list(zip(statistics[0].unbind(), statistics[1].unbind(), strict=True))
    )
