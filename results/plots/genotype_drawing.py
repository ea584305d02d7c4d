"""A genotype as a drawing: each cell a graph, each node a box with its two operations where their inputs arrive.

Text and lines take the colour of the text around the drawing, so it fits light and dark pages. Operations of a
kind share a tint, but each is named: nothing is told by colour alone.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any

from results.errors import ResultsError
from results.plots.genotype_layout import HEIGHT, INPUTS, LAYER_GAP, Cell, Layout, lay_out, read_cells

BETWEEN = 40.0
TITLE = 22.0
CHARACTER = 6.6
LONGEST = 22
_TINTS = {"skip": "#8A8F98", "pool": "#E69F00", "attention": "#CC79A7", "mlp": "#009E73", "dil": "#56B4E9",
          "conv": "#0072B2"}  # fmt: skip
_SHORT = {"skip_connect": "skip", "self_attention": "attention", "window_attention": "window att."}


def genotype_svg(genotype: str | Mapping[str, Any], cell: str | None = None) -> str:
    """Return the drawing of a genotype, as its column in the points holds it: an ``<svg>`` element with its words.

    ``cell`` is ``"normal"`` or ``"reduce"``; None draws all side by side. Error: ``ResultsError`` for what is no
    genotype, or lacks that cell.

    >>> cell = [["sep_conv_3x3", 0], ["skip_connect", 1]]
    >>> genotype_svg({"normal": cell, "normal_concat": [2]})[:37]
    '<svg xmlns="http://www.w3.org/2000/sv'
    """
    cells = read_cells(genotype)
    if cell is not None:
        if cell not in cells:
            raise ResultsError(f"the genotype must have the cell that is to be drawn, but got {cell!r}")
        cells = {cell: cells[cell]}
    drawings, left, height = [], 0.0, 0.0
    for kind, content in cells.items():
        layout = _layout(content)
        drawings.append(f'<g transform="translate({left:.0f} {TITLE:.0f})">{_draw(content, layout)}</g>')
        drawings.append(_text(left + layout.width / 2, 14, f"{kind} cell", weight="600"))
        left += layout.width + BETWEEN
        height = max(height, layout.height)
    width, height = left - BETWEEN, height + TITLE
    words = html.escape(genotype_words(cells))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" role="img" aria-label="{words}" fill="none" stroke="none" '
        f'font-family="system-ui, sans-serif" font-size="12"><desc>{words}</desc>{"".join(drawings)}</svg>'
    )


def genotype_words(cells: Mapping[str, Cell]) -> str:
    """Return the cells in words: what each node adds up, and which nodes make the output."""
    sentences = []
    for kind, cell in cells.items():
        nodes = [
            f"{_name(node)} = "
            + " + ".join(f"{short(primitive)} of {_name(source)}" for primitive, source in pairs)
            for node in range(INPUTS, cell.output)
            for pairs in [cell.incoming(node)]
        ]
        output = ", ".join(str(node - INPUTS) for node in cell.concat)
        sentences.append(f"{kind} cell: {'; '.join(nodes)}; output of nodes {output}.")
    return " ".join(sentences)


def short(primitive: str) -> str:
    """Return a primitive's name as the boxes show it.

    >>> short("sep_conv_3x3"), short("avg_pool_3x3"), short("mlp_4x")
    ('sep 3×3', 'avg 3×3', 'mlp 4×')
    """
    name = _SHORT.get(primitive, re.sub(r"_(conv|pool)_", " ", primitive.replace("self_", "")))
    name = re.sub(r"(\d)x(?=\d|$)", "\\1\u00d7", name).replace("_", " ")
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}\u2026"


def _name(node: int) -> str:
    return ("c(k-2)", "c(k-1)")[node] if node < INPUTS else f"node {node - INPUTS}"


def _op_width(primitive: str) -> float:
    return max(44.0, CHARACTER * len(short(primitive)) + 13)


def _layout(cell: Cell) -> Layout:
    widths = {
        node: sum(_op_width(primitive) for primitive, _ in cell.incoming(node)) + 12
        for node in range(INPUTS, cell.output)
    }
    return lay_out(cell, widths)


def _draw(cell: Cell, layout: Layout) -> str:
    lines, boxes = [], []
    lanes: set[tuple[int, int]] = set()
    for node in range(INPUTS, cell.output + 1):
        layer = layout.layer[node]
        sources = cell.sources(node)
        for source, x in zip(sources, _ports(cell, layout, node), strict=True):
            lanes.update((source, passed) for passed in range(layout.layer[source] + 1, layer))
            lines.append(_curve(layout.x[source, layer - 1], x, layout.top(layer)))
        boxes.append(
            _node_box(cell, layout, node) if node < cell.output else _plain_box(layout, node, "output")
        )
    for source, passed in sorted(lanes):
        x, top = layout.x[source, passed], layout.top(passed)
        lines.append(_curve(layout.x[source, passed - 1], x, top) + f"M{x:.1f} {top:.1f}v{HEIGHT:.0f}")
    boxes += [_plain_box(layout, node, _name(node)) for node in range(INPUTS)]
    path = "".join(lines)
    return f'<path d="{path}" stroke="currentColor" stroke-opacity=".55" stroke-width="1.3"/>{"".join(boxes)}'


def _ports(cell: Cell, layout: Layout, node: int) -> list[float]:
    """Return where the connections into a node arrive, in the order of where they come from.

    They arrive at the operations of a node, and along the top of the output.
    """
    center, width = layout.x[node, layout.layer[node]], layout.widths[node]
    if node == cell.output:
        count = len(cell.concat)
        xs = [layout.x[source, layout.layer[node] - 1] for source in cell.concat]
        order = sorted(range(count), key=xs.__getitem__)
        return [center + width * ((order.index(place) + 0.5) / count - 0.5) for place in range(count)]
    left, pairs = center - width / 2 + 6, cell.incoming(node)
    ports = [0.0] * len(pairs)
    for place in sorted(range(len(pairs)), key=lambda i: layout.x[pairs[i][1], layout.layer[node] - 1]):
        wide = _op_width(pairs[place][0])
        ports[place] = left + wide / 2
        left += wide
    return ports


def _curve(x: float, to_x: float, to_y: float) -> str:
    """Return the path from the bottom of an item in the layer above down to a point."""
    y, bend = to_y - LAYER_GAP, to_y - LAYER_GAP / 2
    return f"M{x:.1f} {y:.1f}C{x:.1f} {bend:.1f} {to_x:.1f} {bend:.1f} {to_x:.1f} {to_y:.1f}"


def _node_box(cell: Cell, layout: Layout, node: int) -> str:
    center, width, top = (
        layout.x[node, layout.layer[node]],
        layout.widths[node],
        layout.top(layout.layer[node]),
    )
    parts = [_box(center, width, top)]
    for x, (primitive, source) in zip(_ports(cell, layout, node), cell.incoming(node), strict=True):
        wide = _op_width(primitive) - 3
        title = html.escape(f"{primitive} of {_name(source)}")
        parts.append(
            f'<rect x="{x - wide / 2:.1f}" y="{top + 3:.1f}" width="{wide:.1f}" height="24" rx="4" '
            f'fill="{_tint(primitive)}" fill-opacity=".32"><title>{title}</title></rect>'
        )
        parts.append(_text(x, top + 19.5, short(primitive)))
    parts.append(_text(center, top + HEIGHT - 8, f"+  {_name(node)}", size="11"))
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
