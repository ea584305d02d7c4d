"""The nodes of one cell, evaluated source by source.

The torch path evaluates node by node: all edges that enter a node together. Here a source is evaluated as soon as its
map is known, on all edges that leave it, and its terms are added to the sums of the nodes that read it. So whatever
reads one map runs while that map is in the cache, and the backward pass of a source finds all gradients that it needs
in one tensor.

Primitives that are not fused (attention, modules with a listener) are evaluated by their modules and added to the node.

Shapes: B batch, C channels, H height, W width; N nodes, E edges, P primitives.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

from torch import Tensor

from search_space.normalization import current_replay
from search_space.primitives import FactorizedReduce
from search_space.supernet.fused.gradients import NodeGradients
from search_space.supernet.fused.packing import Piece, pack
from search_space.supernet.fused.plan import SourcePlan
from search_space.supernet.fused.running import RunningStatistics
from search_space.supernet.fused.stage import Stage
from search_space.supernet.mixed import MixedNode
from search_space.supernet.sources import Source, SourceForms

_plan = lru_cache(maxsize=256)(SourcePlan)


class FusedNodes:
    """The mixed nodes of a cell in one forward pass.

    Args:
        nodes: N nodes in order; each reads all sources of the one before, and one more.
        forms: those of every source.
        gamma: weights of the primitives on the edges of all nodes, [E, P].
    """

    def __init__(self, nodes: Sequence[MixedNode], forms: Sequence[SourceForms], gamma: Tensor) -> None:
        self._nodes, self._forms, self._gamma = nodes, forms, gamma
        sources = range(len(nodes[-1].strides))
        self._readers = [
            [index for index, node in enumerate(nodes) if len(node.strides) > source] for source in sources
        ]
        self._plans = [self._plan_of(source) for source in sources]
        self._weights = self._pack_weights()
        self._gammas = self._pack_gamma()
        self._gradients = NodeGradients(len(nodes))
        self._stages: list[Stage] = []
        self._sums: Tensor | None = None
        self._completed: list[tuple[Tensor, Tensor]] = []

    def node(self, index: int, sources: Sequence[Source]) -> tuple[Tensor, Tensor]:
        """Return the map of node ``index`` twice, [B, C, H, W]: one for the sources, one for the output node.

        Args:
            index: 0, 1, ..., N - 1, in this order.
            sources: the maps that enter the node.
        """
        node = self._nodes[index]
        for source in sources[len(self._stages) :]:
            self._add_source(source)
        maps = self._completed[index]
        terms = [(name, edge) for name, edge in node.unfused if not self._plans[edge].fuses(name)]
        if terms:
            first = sum(len(before.strides) for before in self._nodes[:index])
            gamma = self._gamma[first : first + len(node.strides)]
            total = maps[0] + node.weighted_maps(terms, sources, gamma)
            maps = (total, total)
        if index == len(self._nodes) - 1:
            self._update_running_statistics()
        return maps

    def _plan_of(self, source: int) -> SourcePlan:
        node = self._nodes[-1]
        skips = [
            self._nodes[reader].modules_on_edges[f"skip_connect_{source}"]
            for reader in self._readers[source]
            if f"skip_connect_{source}" in node.modules_on_edges
        ]
        return _plan(
            len(self._readers[source]),
            node.channels,
            node.strides[source],
            node.primitives,
            bool(skips) and all(_is_plain_reduce(skip) for skip in skips),
        )

    def _add_source(self, source: Source) -> None:
        index = len(self._stages)
        first = self._nodes[self._readers[index][0]]
        stage = Stage(self._plans[index], len(first.strides) == index + 1, self._gradients)
        tapped = self._forms[index].input.listener is not None
        node, again, self._sums = stage(
            source.x,
            source.rectified if tapped else None,
            self._sums,
            self._weights[index],
            self._gammas[index],
        )
        if node is not None and again is not None:
            self._completed.append((node, again))
        self._stages.append(stage)

    def _pack_weights(self) -> tuple[Tensor, ...]:
        """Return the parameters that the edges of each source need (:attr:`SourcePlan.sections`)."""
        parameters: list[Tensor] = []
        numbers: dict[int, int] = {}
        pieces: list[list[Piece]] = []
        for source in range(len(self._plans)):
            pieces.append([])
            for parameter, first, length in self._parameters_of(source):
                number = numbers.setdefault(id(parameter), len(numbers))
                if number == len(parameters):
                    parameters.append(parameter)
                pieces[-1].append(Piece(number, first, length))
        return pack(parameters, pieces)

    def _parameters_of(self, source: int) -> Iterator[tuple[Tensor, int, int]]:
        """Yield the parameters of a source in order: parameter, first element, number of elements."""
        plan = self._plans[source]
        nodes = [self._nodes[reader] for reader in self._readers[source]]
        second = [f"{name}_second" for name in plan.separable]
        for name in [*plan.separable, *plan.dilated, *second]:
            for node in nodes:
                length = node.depthwise[name].numel() // len(node.strides)
                yield node.depthwise[name], source * length, length
        square = plan.channels**2
        for kind in range(len(plan.separable)):
            for node in nodes:
                yield node.middle.weight, (kind * len(node.strides) + source) * square, square
        for kind in range(len(plan.dilated)):
            for node in nodes:
                row = (len(plan.separable) + kind) * len(node.strides) + source
                yield node.last.weight, row * square, square
        if plan.factorized:
            for node in nodes:
                for half in _halves(node, source):
                    yield half, 0, half.numel()
        for kind in range(len(plan.separable)):
            for node in nodes:
                yield node.last.weight, (kind * len(node.strides) + source) * square, square

    def _pack_gamma(self) -> tuple[Tensor, ...]:
        """Return gamma [E, P] of the edges that leave each source."""
        firsts = [0]
        for node in self._nodes[:-1]:
            firsts.append(firsts[-1] + len(node.strides))
        width = self._gamma.shape[1]
        pieces = [
            [Piece(0, (firsts[reader] + source) * width, width) for reader in readers]
            for source, readers in enumerate(self._readers)
        ]
        return tuple(flat.view(-1, width) for flat in pack([self._gamma], pieces))

    def _update_running_statistics(self) -> None:
        """Update all running statistics, unless this is the recomputation of an earlier pass."""
        replay = current_replay()
        if replay:
            seen = replay.recall(self._nodes[0])
            replay.remember(self._nodes[0], True)
            if seen:
                return
        running = RunningStatistics()
        for index, stage in enumerate(self._stages):
            running.add(
                stage, self._forms[index], [self._nodes[reader] for reader in self._readers[index]], index
            )
        running.update()


def _is_plain_reduce(module: object) -> bool:
    """Return whether the module of a skip connection of stride 2 can be fused: nothing listens to its input."""
    return isinstance(module, FactorizedReduce) and module.input.listener is None


def _halves(node: MixedNode, edge: int) -> tuple[Tensor, Tensor]:
    """Return the two 1x1 convolutions of a factorized reduce."""
    module = node.modules_on_edges[f"skip_connect_{edge}"]
    assert isinstance(module, FactorizedReduce)
    return module.even.weight, module.odd.weight
