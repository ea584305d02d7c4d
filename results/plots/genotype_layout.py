"""Layout of a cell for drawing: layers of nodes, from the inputs at the top to the output at the bottom.

Layered graph drawing (Sugiyama, Tagawa, Toda: Methods for visual understanding of hierarchical system structures,
1981), in three steps:

1. Each node is placed one layer below the lowest node that it reads.
2. An edge that crosses a layer gets a lane (a dummy node) in it, so that no line runs behind a node. The edges from
   one node share their lanes.
3. The items of each layer are sorted by the barycentre of their neighbours.

Lengths are in SVG user units.
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
MAX_NODES = 64
GAP, LAYER_GAP, LANE_WIDTH, HEIGHT, INPUT_WIDTH, MARGIN = 16.0, 44.0, 12.0, 50.0, 64.0, 8.0
SORTING_PASSES = 8

Item = tuple[int, int]
"""An item of a layer, (node, layer): the node itself in its own layer, its lane in a lower one."""


@dataclass(frozen=True)
class Cell:
    """A cell of a genotype: (primitive, source) of each edge, two for each node, and the nodes that form the output.

    Nodes 0 and 1 are the inputs; the intermediate nodes and the output node follow.
    """

    edges: tuple[tuple[str, int], ...]
    concat: tuple[int, ...]

    @property
    def output(self) -> int:
        """The output node."""
        return len(self.edges) // EDGES_PER_NODE + INPUTS

    def incoming(self, node: int) -> list[tuple[str, int]]:
        """Return the (primitive, source) pairs of an intermediate node."""
        first = EDGES_PER_NODE * (node - INPUTS)
        return list(self.edges[first : first + EDGES_PER_NODE])

    def sources(self, node: int) -> list[int]:
        """Return the nodes that a node reads; none for an input."""
        if node < INPUTS:
            return []
        return list(self.concat) if node == self.output else [source for _, source in self.incoming(node)]


@dataclass
class Layout:
    """Positions of all items: ``x`` of their centres, ``layer`` and width of each node, size of the drawing."""

    width: float
    height: float
    x: dict[Item, float]
    layer: dict[int, int]
    widths: dict[int, float] = field(default_factory=dict)

    def top(self, layer: int) -> float:
        """Return the y of a layer's upper edge."""
        return MARGIN + layer * (HEIGHT + LAYER_GAP)


def read_cells(genotype: str | Mapping[str, object]) -> dict[str, Cell]:
    """Return the cells of a genotype, given as JSON text or parsed: ``normal``, and ``reduce`` if it has one.

    Raises:
        ResultsError: this is no valid genotype.
    """
    try:
        content: Mapping[str, Any] = json.loads(genotype) if isinstance(genotype, str) else genotype
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
            f"a genotype must have the lists `normal` and `normal_concat`, but got {str(genotype)[:60]!r}"
        ) from error
    for cell in cells.values():
        _check(cell)
    return cells


def lay_out(cell: Cell, widths: Mapping[int, float]) -> Layout:
    """Return the layout of a cell whose intermediate nodes have these widths."""
    layer = _layers(cell)
    rows = _rows(cell, layer)
    _sort(rows, _links(cell, layer))
    all_widths = {**dict.fromkeys(range(INPUTS), INPUT_WIDTH), **widths, cell.output: INPUT_WIDTH}

    def width(item: Item) -> float:
        return all_widths[item[0]] if layer[item[0]] == item[1] else LANE_WIDTH

    row_widths = [sum(map(width, row)) + GAP * (len(row) - 1) for row in rows]
    total = max(row_widths) + 2 * MARGIN
    x: dict[Item, float] = {}
    for row, row_width in zip(rows, row_widths, strict=True):
        left = (total - row_width) / 2
        for item in row:
            x[item] = left + width(item) / 2
            left += width(item) + GAP
    layout = Layout(total, 0.0, x, layer, all_widths)
    layout.height = layout.top(len(rows) - 1) + HEIGHT + MARGIN
    return layout


def _check(cell: Cell) -> None:
    """Check that edges come from earlier nodes and that the output consists of intermediate nodes."""
    nodes = range(INPUTS, cell.output)
    ordered = all(0 <= source < node for node in nodes for source in cell.sources(node))
    known = cell.concat and all(node in nodes for node in cell.concat)
    if len(cell.edges) % EDGES_PER_NODE or not 0 < len(nodes) <= MAX_NODES or not ordered or not known:
        raise ResultsError(
            f"a cell must have two edges from earlier nodes for each of at most {MAX_NODES} nodes, and an output "
            f"made of these nodes, but got {str(cell.edges)[:60]} and {str(cell.concat)[:60]}"
        )


def _layers(cell: Cell) -> dict[int, int]:
    """Return the layer of each node: the length of the longest path from an input."""
    layer = dict.fromkeys(range(INPUTS), 0)
    for node in range(INPUTS, cell.output):
        layer[node] = 1 + max(layer[source] for source in cell.sources(node))
    layer[cell.output] = 1 + max(layer.values())
    return layer


def _rows(cell: Cell, layer: Mapping[int, int]) -> list[list[Item]]:
    """Return the items of each layer: its nodes, and the lanes of nodes with readers in lower layers."""
    lowest = dict(layer)  # the lowest layer in which a node has an item
    for node in range(INPUTS, cell.output + 1):
        for source in cell.sources(node):
            lowest[source] = max(lowest[source], layer[node] - 1)
    rows: list[list[Item]] = [[] for _ in range(layer[cell.output] + 1)]
    for node in layer:
        for row in range(layer[node], lowest[node] + 1):
            rows[row].append((node, row))
    return rows


def _links(cell: Cell, layer: Mapping[int, int]) -> set[tuple[Item, Item]]:
    """Return the pairs of connected items in adjacent layers, the upper item first."""
    links: set[tuple[Item, Item]] = set()
    for node in range(INPUTS, cell.output + 1):
        for source in cell.sources(node):
            path = [*((source, row) for row in range(layer[source], layer[node])), (node, layer[node])]
            links.update(itertools.pairwise(path))
    return links


def _sort(rows: list[list[Item]], links: set[tuple[Item, Item]]) -> None:
    """Sort each row in place by the mean position of its neighbours, alternately in the row above and below."""
    neighbours: dict[Item, list[Item]] = {item: [] for row in rows for item in row}
    for upper, lower in sorted(links):
        neighbours[upper].append(lower)
        neighbours[lower].append(upper)
    for sorting_pass in range(SORTING_PASSES):
        step = -1 if sorting_pass % 2 == 0 else 1
        for row in range(1, len(rows)) if step < 0 else range(len(rows) - 2, -1, -1):
            adjacent = rows[row + step]
            positions = {item: (index + 0.5) / len(adjacent) for index, item in enumerate(adjacent)}

            def barycentre(item: Item, positions: Mapping[Item, float] = positions) -> float:
                found = [positions[other] for other in neighbours[item] if other in positions]
                return sum(found) / len(found) if found else 0.5

            rows[row].sort(key=barycentre)
