"""The strokes that pictures are made of: SVG in the colour of the text around it."""

from __future__ import annotations

import html
from collections.abc import Sequence


def svg(width: float, height: float, words: str, parts: Sequence[str]) -> str:
    """Return a drawing with its words, for those who do not see it."""
    said = html.escape(words)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-1 0 {width + 2:g} {height:g}" width="{width:g}" '
        f'role="img" aria-label="{said}" style="max-width: 100%; height: auto" '
        f'font-family="system-ui, sans-serif" font-size="13"><desc>{said}</desc>{"".join(parts)}</svg>'
    )


def line(x: float, y: float, to_x: float, to_y: float, color: str = "currentColor", dashes: str = "") -> str:
    pattern = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'<path d="M{x:g} {y:.1f}L{to_x:g} {to_y:.1f}" stroke="{color}"{pattern}/>'


def text(x: float, y: float, words: str, anchor: str = "start", size: int = 13) -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" font-size="{size}" fill="currentColor">'
        f"{html.escape(words)}</text>"
    )
