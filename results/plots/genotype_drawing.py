"""SVG drawing of a genotype: each cell a graph, each node a box with its two operations.

Text and lines take the colour of the surrounding text, so the drawing fits light and dark pages. Operations of one
kind share a tint, but each is named as well: colour never carries meaning alone. Lengths are in SVG user units.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping

from results.errors import ResultsError
from results.plots.genotype_layout import HEIGHT, INPUTS, LAYER_GAP, Cell, Item, Layout, lay_out, read_cells

CELL_GAP = 40.0
TITLE_HEIGHT = 22.0
CHARACTER_WIDTH = 6.6
MAX_NAME_LENGTH = 22
_TINTS = {"skip": "#8A8F98", "pool": "#E69F00", "attention": "#CC79A7", "mlp": "#009E73", "dil": "#56B4E9",
          "conv": "#0072B2"}  # fmt: skip
_SHORT_NAMES = {"skip_connect": "skip", "self_attention": "attention", "window_attention": "window att."}


def genotype_svg(genotype: str | Mapping[str, object], cell: str | None = None) -> str:
    """Return the drawing of a genotype as an ``<svg>`` element with a text alternative.

    Args:
        genotype: JSON text as in the column ``genotype`` of the points, or its parsed content.
        cell: ``"normal"`` or ``"reduce"``; None draws all cells side by side.

    Raises:
        ResultsError: the genotype is not valid, or does not have this cell.

    >>> cell = [["sep_conv_3x3", 0], ["skip_connect", 1]]
    >>> genotype_svg({"normal": cell, "normal_concat": [2]})[:37]
    '<svg xmlns="http://www.w3.org/2000/sv'
    """
    cells = read_cells(genotype)
    if cell is not None:
        if cell not in cells:
            raise ResultsError(f"the genotype must have the cell to draw, but got {cell!r}")
        cells = {cell: cells[cell]}
    drawings, left, height = [], 0.0, 0.0
    for kind, content in cells.items():
        layout = _layout(content)
        drawings.append(
            f'<g transform="translate({left:.0f} {TITLE_HEIGHT:.0f})">{_draw(content, layout)}</g>'
        )
        drawings.append(_text(left + layout.width / 2, 14, f"{kind} cell", weight="600"))
        left += layout.width + CELL_GAP
        height = max(height, layout.height)
    width, height = left - CELL_GAP, height + TITLE_HEIGHT
    words = html.escape(genotype_words(cells))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" role="img" aria-label="{words}" fill="none" stroke="none" '
        f'font-family="system-ui, sans-serif" font-size="12"><desc>{words}</desc>{"".join(drawings)}</svg>'
    )


def genotype_words(cells: Mapping[str, Cell]) -> str:
    """Return the cells as text: the operations that each node sums, and the nodes that form the output."""
    sentences = []
    for kind, cell in cells.items():
        nodes = [
            f"{_node_name(node)} = "
            + " + ".join(f"{short_name(primitive)} of {_node_name(source)}" for primitive, source in pairs)
            for node in range(INPUTS, cell.output)
            for pairs in [cell.incoming(node)]
        ]
        output = ", ".join(str(node - INPUTS) for node in cell.concat)
        sentences.append(f"{kind} cell: {'; '.join(nodes)}; output: nodes {output}.")
    return " ".join(sentences)


def short_name(primitive: str) -> str:
    """Return the short name of a primitive, as the boxes show it.

    >>> short_name("sep_conv_3x3"), short_name("avg_pool_3x3"), short_name("mlp_4x")
    ('sep 3×3', 'avg 3×3', 'mlp 4×')
    """
    name = _SHORT_NAMES.get(primitive, re.sub(r"_(conv|pool)_", " ", primitive.replace("self_", "")))
    name = re.sub(r"(\d)x(?=\d|$)", "\\1\u00d7", name).replace("_", " ")
    return name if len(name) <= MAX_NAME_LENGTH else f"{name[: MAX_NAME_LENGTH - 1]}\u2026"


def _node_name(node: int) -> str:
    return ("c(k-2)", "c(k-1)")[node] if node < INPUTS else f"node {node - INPUTS}"


def _operation_width(primitive: str) -> float:
    return max(44.0, CHARACTER_WIDTH * len(short_name(primitive)) + 13)


def _layout(cell: Cell) -> Layout:
    widths = {
        node: sum(_operation_width(primitive) for primitive, _ in cell.incoming(node)) + 12
        for node in range(INPUTS, cell.output)
    }
    return lay_out(cell, widths)


def _draw(cell: Cell, layout: Layout) -> str:
    """Return the SVG of one cell: lines below boxes."""
    lines, boxes = [], []
    lanes: set[Item] = set()
    for node in range(INPUTS, cell.output + 1):
        layer = layout.layer[node]
        sources = cell.sources(node)
        for source, x in zip(sources, _ports(cell, layout, node), strict=True):
            lanes.update((source, crossed) for crossed in range(layout.layer[source] + 1, layer))
            lines.append(_curve(layout.x[source, layer - 1], x, layout.top(layer)))
        boxes.append(
            _node_box(cell, layout, node) if node < cell.output else _plain_box(layout, node, "output")
        )
    for source, layer in sorted(lanes):
        x, top = layout.x[source, layer], layout.top(layer)
        lines.append(_curve(layout.x[source, layer - 1], x, top) + f"M{x:.1f} {top:.1f}v{HEIGHT:.0f}")
    boxes += [_plain_box(layout, node, _node_name(node)) for node in range(INPUTS)]
    path = "".join(lines)
    return f'<path d="{path}" stroke="currentColor" stroke-opacity=".55" stroke-width="1.3"/>{"".join(boxes)}'


def _ports(cell: Cell, layout: Layout, node: int) -> list[float]:
    """Return the x where each incoming edge of a node ends, in the order of its sources.

    The edges of an intermediate node end at its operations, which are sorted by the x of their sources. Those of the
    output node end evenly spaced along its top.
    """
    center, width = layout.x[node, layout.layer[node]], layout.widths[node]
    if node == cell.output:
        count = len(cell.concat)
        xs = [layout.x[source, layout.layer[node] - 1] for source in cell.concat]
        order = sorted(range(count), key=xs.__getitem__)
        return [center + width * ((order.index(edge) + 0.5) / count - 0.5) for edge in range(count)]
    left, pairs = center - width / 2 + 6, cell.incoming(node)
    ports = [0.0] * len(pairs)
    for edge in sorted(range(len(pairs)), key=lambda i: layout.x[pairs[i][1], layout.layer[node] - 1]):
        operation_width = _operation_width(pairs[edge][0])
        ports[edge] = left + operation_width / 2
        left += operation_width
    return ports


def _curve(x: float, to_x: float, to_y: float) -> str:
    """Return the SVG path from the bottom of an item at ``x`` in the layer above to a point."""
    y, bend = to_y - LAYER_GAP, to_y - LAYER_GAP / 2
    return f"M{x:.1f} {y:.1f}C{x:.1f} {bend:.1f} {to_x:.1f} {bend:.1f} {to_x:.1f} {to_y:.1f}"


def _node_box(cell: Cell, layout: Layout, node: int) -> str:
    center, top = layout.x[node, layout.layer[node]], layout.top(layout.layer[node])
    parts = [_box(center, layout.widths[node], top)]
    for x, (primitive, source) in zip(_ports(cell, layout, node), cell.incoming(node), strict=True):
        width = _operation_width(primitive) - 3
        title = html.escape(f"{primitive} of {_node_name(source)}")
        parts.append(
            f'<rect x="{x - width / 2:.1f}" y="{top + 3:.1f}" width="{width:.1f}" height="24" rx="4" '
            f'fill="{_tint(primitive)}" fill-opacity=".32"><title>{title}</title></rect>'
        )
        parts.append(_text(x, top + 19.5, short_name(primitive)))
    parts.append(_text(center, top + HEIGHT - 8, f"+  {_node_name(node)}", size="11"))
    return "".join(parts)


def _plain_box(layout: Layout, node: int, name: str) -> str:
    center, top = layout.x[node, layout.layer[node]], layout.top(layout.layer[node])
    return _box(center, layout.widths[node], top) + _text(center, top + HEIGHT / 2 + 4, name)


def _box(center: float, width: float, top: float) -> str:
    return (
        f'<rect x="{center - width / 2:.1f}" y="{top:.1f}" width="{width:.1f}" height="{HEIGHT:.0f}" rx="6" '
        'fill="currentColor" fill-opacity=".05" stroke="currentColor" stroke-opacity=".5"/>'
    )


def _text(x: float, y: float, content: str, *, size: str | None = None, weight: str | None = None) -> str:
    more = (f' font-size="{size}"' if size else "") + (f' font-weight="{weight}"' if weight else "")
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" fill="currentColor"{more}>{html.escape(content)}</text>'


def _tint(primitive: str) -> str:
    return next((tint for part, tint in _TINTS.items() if part in primitive), "#8A8F98")
