"""The picture of the study of lambda and tau: accuracy against effective macs, one line for each lambda."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from benchmarks.harness import Cell, Report
from docs._code.svg import line, svg, text

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
TINTS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7")
DASHES = ("", "6 3", "2 3", "8 3 2 3")
WIDTH, HEIGHT, LEFT, TOP = 280.0, 200.0, 50.0, 26.0
SHARES = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
ACCURACIES = (0.7, 0.75, 0.8, 0.85)
"""Ticks of the axes. Points below the lowest accuracy are not drawn."""

Curve = list[tuple[float, float]]


def study() -> str:
    """Draw the newest report of the benchmark ``feature_maps``, one panel for each space."""
    report: Report = json.loads(
        max(RESULTS.glob("feature_maps-*.json"), key=lambda file: file.name[-15:]).read_text()
    )
    parts: list[str] = []
    for panel, table in enumerate(report["tables"]):
        left = LEFT + panel * (WIDTH + 60)
        parts += _axes(left, table["title"].partition(":")[0])
        for number, (weight, curve) in enumerate(curves(table["rows"]).items()):
            parts += _curve(left, number, curve)
            if panel == 0:
                y = TOP + HEIGHT + 48
                parts.append(line(left + number * 130, y, left + number * 130 + 30, y, *_style(number)))
                parts.append(text(left + number * 130 + 36, y + 4, f"λ = {weight:g}"))
    words = (
        "Accuracy against the fraction of macs that is effective, on Fashion-MNIST, in the attention and the hybrid "
        "space. Each line is one lambda; its dots are relative thresholds, from 0 on the right to larger ones on the "
        "left. The numbers are in the table above."
    )
    return svg(2 * WIDTH + LEFT + 80, TOP + HEIGHT + 60, words, parts)


def curves(rows: Sequence[Mapping[str, Cell]]) -> dict[float, Curve]:
    """Return the points (effective share, accuracy) of each lambda, by increasing relative tau."""
    found: dict[float, dict[float, tuple[float, float]]] = {}
    for row in rows:
        weight, tau = float(row["regularization"] or 0), float(row["threshold"] or 0)
        if row["threshold_mode"] == "relative" or tau == 0:
            found.setdefault(weight, {})[tau] = _mean(row["effective_share"]), _mean(row["accuracy"])
    return {weight: [points[tau] for tau in sorted(points)] for weight, points in found.items()}


def _mean(cell: Cell) -> float:
    """Return the mean in a cell such as ``0.8132 (0.015)``."""
    return float(str(cell).partition(" ")[0])


def _axes(left: float, title: str) -> list[str]:
    parts = [text(left + WIDTH / 2, 14, title, anchor="middle")]
    for share in SHARES:
        x, _ = _position(left, share, ACCURACIES[0])
        parts.append(line(x, TOP + HEIGHT, x, TOP + HEIGHT + 4))
        parts.append(text(x, TOP + HEIGHT + 17, f"{share:g}", anchor="middle", size=11))
    for accuracy in ACCURACIES:
        _, y = _position(left, SHARES[0], accuracy)
        parts += [line(left - 4, y, left, y), text(left - 8, y + 4, f"{accuracy:g}", anchor="end", size=11)]
    parts += [line(left, TOP, left, TOP + HEIGHT), line(left, TOP + HEIGHT, left + WIDTH, TOP + HEIGHT)]
    parts.append(text(left + WIDTH, TOP + HEIGHT + 32, "fraction of effective macs", anchor="end", size=11))
    parts.append(text(left + 6, TOP + 8, "accuracy", size=11))
    return parts


def _curve(left: float, number: int, curve: Curve) -> list[str]:
    positions = [_position(left, *point) for point in curve]
    tint, dashes = _style(number)
    parts = [
        line(*one, *other, tint, dashes)
        for one, other in pairwise(positions)
        if max(one[1], other[1]) <= TOP + HEIGHT
    ]
    return parts + [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{tint}"/>' for x, y in positions if y <= TOP + HEIGHT
    ]


def _style(number: int) -> tuple[str, str]:
    return TINTS[number], DASHES[number]


def _position(left: float, share: float, accuracy: float) -> tuple[float, float]:
    x = (share - SHARES[0]) / (SHARES[-1] - SHARES[0])
    y = (accuracy - ACCURACIES[0]) / (ACCURACIES[-1] - ACCURACIES[0])
    return left + x * WIDTH, TOP + (1 - y) * HEIGHT
