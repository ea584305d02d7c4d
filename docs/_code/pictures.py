"""The pictures of the pages: SVG in the colour of the surrounding text, each with a description in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from docs._code.study_picture import study
from docs._code.svg import line, svg, text
from results import genotype_svg

TINTS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7")
"""One colour a node, from a palette for the colour-blind."""
SIDE = 14

DARTS_V2 = {
    "normal": [
        ["sep_conv_3x3", 0], ["sep_conv_3x3", 1], ["sep_conv_3x3", 0], ["sep_conv_3x3", 1],
        ["sep_conv_3x3", 1], ["skip_connect", 0], ["skip_connect", 0], ["dil_conv_3x3", 2],
    ],
    "normal_concat": [2, 3, 4, 5],
    "reduce": [
        ["max_pool_3x3", 0], ["max_pool_3x3", 1], ["skip_connect", 2], ["max_pool_3x3", 1],
        ["max_pool_3x3", 0], ["skip_connect", 2], ["skip_connect", 2], ["max_pool_3x3", 1],
    ],
    "reduce_concat": [2, 3, 4, 5],
}  # fmt: skip
"""The cells that Liu et al., DARTS, 2019, publish."""


def figure(name: str) -> str:
    """Return a picture as a block of a page.

    Raises:
        KeyError: there is no such picture.
    """
    return f'<figure class="picture">{PICTURES[name]()}</figure>'


def splitting() -> str:
    """Draw the four readings of s = 2, for four nodes of four channels each."""
    first = [[node] for node in range(4) for _ in range(4)]
    readings = {
        "concat: N C = 16": first,
        "node_groups: s C = 8": [[0, 1]] * 4 + [[2, 3]] * 4,
        "channel_groups: C = 4": [[0, 1]] * 2 + [[2, 3]] * 2,
        "partial: C + (N-1) C/s = 10": [[node] for node in range(4) for _ in range(2)] + [[0, 1, 2, 3]] * 2,
    }
    parts = [text(0, 16, "channels of the four nodes"), *_squares(210, 4, first)]
    for row, (name, channels) in enumerate(readings.items()):
        top = 36 + row * 26
        parts += [text(0, top + 12, name), *_squares(210, top, channels)]
    words = (
        "Four nodes with four channels each, and the output of the cell at s = 2: concat keeps all 16 channels; "
        "node_groups averages nodes 1 and 2, and 3 and 4, 8 channels; channel_groups averages inside two groups of "
        "joined channels, 4 channels; partial keeps half of every node's channels and averages the rest, 10 channels."
    )
    return svg(460, 142, words, parts)


def ladder() -> str:
    """Draw how one search and a few trainings answer many questions."""
    parts = [*_box(0, 62, 96, 40, "one search", "for each s"), *_arrow(96, 82, 130, 82)]
    for row, weight in enumerate(("0", "0.001", "0.01")):
        middle = 22 + row * 60
        parts += [
            *_arrow(130, 82, 160, middle),
            *_box(160, middle - 20, 116, 40, "training", f"λ = {weight}"),
        ]
        for column, threshold in enumerate(("0", "0.05", "0.1", "0.2")):
            left = 306 + column * 88
            parts += _box(left, middle - 20, 78, 40, f"τ = {threshold}", "32, 8 bits")
        parts += _arrow(276, middle, 306, middle)
    words = (
        "One search for a value of s is followed by one training for each lambda. Every trained network is evaluated "
        "at every threshold tau and precision, without another training."
    )
    return svg(650, 166, words, parts)


def sweep() -> str:
    """Draw the steps from a sweep file to a front."""
    steps = [
        ("sweep file", "YAML"),
        ("plan", "all errors"),
        ("ledger", "before a trial"),
        ("gangs", "on Ray"),
        ("points", "a trial's ladder"),
        ("front", "Parquet"),
    ]
    parts: list[str] = []
    for column, (title, below) in enumerate(steps):
        left = column * 118
        parts += _box(left, 4, 96, 44, title, below)
        if column:
            parts += _arrow(left - 22, 26, left, 26)
    parts.append(
        '<path d="M402 48v24H284V52" stroke="currentColor" fill="none" stroke-dasharray="4 3"/>'
        '<path d="M280 58l4-8 4 8z" fill="currentColor"/>'
    )
    parts.append(text(343, 88, "failed: restart from its last epoch", anchor="middle"))
    words = (
        "From the sweep file through the plan to the ledger, gangs of workers on Ray, the points of every trial and "
        "the front. A failed trial is started again from the ledger, at its last epoch."
    )
    return svg(690, 96, words, parts)


def threshold() -> str:
    """Draw what tau does to the features of one map."""
    features = (0.02, -0.31, 0.08, 0.55, -0.04, 0.12, -0.72, 0.0, 0.19, -0.09, 0.4, 0.03)
    tau, unit, left = 0.1, 60.0, 60
    parts = [line(left - 8, 60, left + 30 * len(features), 60)]
    for sign in (1, -1):
        at = 60 - sign * tau * unit
        parts.append(line(left - 8, at, left + 30 * len(features), at, dashes="3 3"))
    for index, feature in enumerate(features):
        pruned = abs(feature) < tau
        x, height = left + 30 * index + 4, max(abs(feature) * unit, 1.0)
        top = 60 - height if feature >= 0 else 60
        parts.append(
            f'<rect x="{x}" y="{top:.1f}" width="16" height="{height:.1f}" '
            f'fill="{"none" if pruned else TINTS[0]}" stroke="currentColor"/>'
        )
    parts.append(text(left - 14, 50, "τ", anchor="end"))
    parts.append(text(left - 14, 78, "-τ", anchor="end"))
    parts.append(text(0, 116, "empty: smaller than τ, set to zero at inference; filled: unchanged"))
    words = (
        "Bars for twelve features. Those between minus tau and tau are set to zero, the others are unchanged."
    )
    return svg(440, 124, words, parts)


def genotype() -> str:
    """Draw a published genotype."""
    return genotype_svg(DARTS_V2)


PICTURES: dict[str, Callable[[], str]] = {
    "splitting": splitting,
    "ladder": ladder,
    "sweep": sweep,
    "threshold": threshold,
    "genotype": genotype,
    "study": study,
}


def _squares(left: float, top: float, channels: Sequence[Sequence[int]]) -> list[str]:
    """Draw each channel as a square, striped in the colours of the nodes whose mean it is."""
    parts = []
    for index, nodes in enumerate(channels):
        x, width = left + index * (SIDE + 1), SIDE / len(nodes)
        parts += [
            f'<rect x="{x + width * i:.1f}" y="{top}" width="{width:.1f}" height="{SIDE}" fill="{TINTS[node]}"/>'
            for i, node in enumerate(nodes)
        ]
    return parts


def _box(x: float, y: float, width: float, height: float, title: str, below: str) -> list[str]:
    middle = x + width / 2
    return [
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="5" fill="none" stroke="currentColor"/>',
        text(middle, y + height / 2 - 3, title, anchor="middle"),
        text(middle, y + height / 2 + 13, below, anchor="middle", size=11),
    ]


def _arrow(x: float, y: float, to_x: float, to_y: float) -> list[str]:
    return [line(x, y, to_x, to_y), f'<circle cx="{to_x}" cy="{to_y}" r="3" fill="currentColor"/>']
