"""Where the parts of a cell stand when it is drawn: a layered layout, from the inputs at the top to the output.

Every node stands one layer below the lowest node that it reads. A connection that passes layers on its way gets
a lane in each of them, one for all that leave the same node, so that no line runs behind a node. Layers are put
in order by barycentres (Sugiyama, Tagawa, Toda: Methods for visual understanding of hierarchical system
structures, 1981). Lengths are in SVG user units.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from results.errors import ResultsError

INPUTS = 2
EDGES_PER_NODE = 2
MOST_NODES = 64
GAP, LAYER_GAP, LANE, HEIGHT, INPUT_WIDTH, MARGIN = 16.0, 44.0, 12.0, 50.0, 64.0, 8.0
SWEEPS = 8

Item = tuple[int, int]
"""A node, or its lane in a layer: (node, layer). What stands in the node's own layer is the node itself."""


@dataclass(frozen=True)
class Cell:
    """A cell as a genotype gives it: (primitive, source) of each edge, two a node, and the nodes of the output."""

    edges: tuple[tuple[str, int], ...]
    concat: tuple[int, ...]

    @property
    def output(self) -> int:
        """The number of the output node: one more than that of the last intermediate node."""
        return len(self.edges) // EDGES_PER_NODE + INPUTS

    def incoming(self, node: int) -> list[tuple[str, int]]:
        """Return the (primitive, source) pairs of an intermediate node."""
        first = EDGES_PER_NODE * (node - INPUTS)
        return list(self.edges[first : first + EDGES_PER_NODE])

    def sources(self, node: int) -> list[int]:
        """Return the nodes that a node reads; inputs read none."""
        if node < INPUTS:
            return []
        return list(self.concat) if node == self.output else [source for _, source in self.incoming(node)]


@dataclass
class Layout:
    """Centres of all items, the widths of nodes, and the size of the whole."""

    width: float
    height: float
    x: dict[Item, float]
    layer: dict[int, int]
    widths: dict[int, float] = field(default_factory=dict)

    def top(self, layer: int) -> float:
        """Return the upper edge of a layer."""
        return MARGIN + layer * (HEIGHT + LAYER_GAP)


def read_cells(genotype: str | Mapping[str, Any]) -> dict[str, Cell]:
    """Return the cells of a genotype, JSON text or what it holds: ``normal``, and ``reduce`` where there is one.

    Error: ``ResultsError`` for what is no genotype.
    """
    try:
        content = json.loads(genotype) if isinstance(genotype, str) else genotype
        cells = {
            kind: Cell(
                tuple((str(name), int(source)) for name, source in content[kind]),
                tuple(int(node) for node in content[f"{kind}_concat"]),
            )
            for kind in ("normal", "reduce")
            if kind == "normal" or kind in content
        }
    except (TypeError, ValueError, KeyError, RecursionError) as error:
        raise ResultsError(
            f"a genotype must hold lists `normal` and `normal_concat`, but got {str(genotype)[:60]!r}"
        ) from error
    for cell in cells.values():
        _check(cell)
    return cells


def lay_out(cell: Cell, widths: Mapping[int, float]) -> Layout:
    """Return where the parts of ``cell`` stand; ``widths`` are those of the intermediate nodes."""
    layer = _layers(cell)
    rows = _rows(cell, layer)
    _order(rows, _links(cell, layer))
    sizes = {**dict.fromkeys(range(INPUTS), INPUT_WIDTH), **widths, cell.output: INPUT_WIDTH}

    def width(item: Item) -> float:
        return sizes[item[0]] if layer[item[0]] == item[1] else LANE

    spans = [sum(map(width, row)) + GAP * (len(row) - 1) for row in rows]
    whole = max(spans) + 2 * MARGIN
    x: dict[Item, float] = {}
    for row, span in zip(rows, spans, strict=True):
        left = (whole - span) / 2
        for item in row:
            x[item] = left + width(item) / 2
            left += width(item) + GAP
    layout = Layout(whole, 0.0, x, layer, sizes)
    layout.height = layout.top(len(rows) - 1) + HEIGHT + MARGIN
    return layout


def _check(cell: Cell) -> None:
    nodes = range(INPUTS, cell.output)
    ordered = all(0 <= source < node for node in nodes for source in cell.sources(node))
    known = cell.concat and all(node in nodes for node in cell.concat)
    if len(cell.edges) % EDGES_PER_NODE or not 0 < len(nodes) <= MOST_NODES or not ordered or not known:
        raise ResultsError(
            f"a cell must have two edges a node from earlier nodes, at most {MOST_NODES} nodes, and an output of "
            f"them, but got {str(cell.edges)[:60]} and {str(cell.concat)[:60]}"
        )


def _layers(cell: Cell) -> dict[int, int]:
    """Return the layer of each node: the length of the longest way from an input."""
    layer = dict.fromkeys(range(INPUTS), 0)
    for node in range(INPUTS, cell.output):
        layer[node] = 1 + max(layer[source] for source in cell.sources(node))
    layer[cell.output] = 1 + max(layer.values())
    return layer


def _rows(cell: Cell, layer: Mapping[int, int]) -> list[list[Item]]:
    """Return the items of each layer: its nodes, and the lanes of those whose readers stand farther down."""
    reach = dict(layer)
    for node in range(INPUTS, cell.output + 1):
        for source in cell.sources(node):
            reach[source] = max(reach[source], layer[node] - 1)
    rows: list[list[Item]] = [[] for _ in range(layer[cell.output] + 1)]
    for node in layer:
        for passed in range(layer[node], reach[node] + 1):
            rows[passed].append((node, passed))
    return rows


def _links(cell: Cell, layer: Mapping[int, int]) -> set[tuple[Item, Item]]:
    """Return the pairs of items in neighbouring layers that a line joins, the upper one first."""
    links: set[tuple[Item, Item]] = set()
    for node in range(INPUTS, cell.output + 1):
        for source in cell.sources(node):
            path = [*((source, passed) for passed in range(layer[source], layer[node])), (node, layer[node])]
            links.update(itertools.pairwise(path))
    return links


def _order(rows: list[list[Item]], links: set[tuple[Item, Item]]) -> None:
    """Sort each row by the mean place of its neighbours in the row above, then below, several times."""
    near: dict[Item, list[Item]] = {item: [] for row in rows for item in row}
    for upper, lower in sorted(links):
        near[upper].append(lower)
        near[lower].append(upper)
    for sweep in range(SWEEPS):
        step = -1 if sweep % 2 == 0 else 1
        numbers = range(1, len(rows)) if step < 0 else range(len(rows) - 2, -1, -1)
        for number in numbers:
            places = {
                item: (place + 0.5) / len(rows[number + step])
                for place, item in enumerate(rows[number + step])
            }

            def mean(item: Item, places: Mapping[Item, float] = places) -> float:
                found = [places[other] for other in near[item] if other in places]
                return sum(found) / len(found) if found else 0.5

            rows[number].sort(key=mean)
