"""Basic SVG elements of the pictures, in the colour of the surrounding text."""

from __future__ import annotations

import html
from collections.abc import Sequence


def svg(width: float, height: float, words: str, parts: Sequence[str]) -> str:
    """Return a drawing; ``words`` describe it for readers who cannot see it."""
    description = html.escape(words)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-1 0 {width + 2:g} {height:g}" width="{width:g}" '
        f'role="img" aria-label="{description}" style="max-width: 100%; height: auto" '
        f'font-family="system-ui, sans-serif" font-size="13"><desc>{description}</desc>{"".join(parts)}</svg>'
    )


def line(x: float, y: float, to_x: float, to_y: float, color: str = "currentColor", dashes: str = "") -> str:
    """Return a straight line; ``dashes`` is an SVG dash pattern."""
    pattern = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'<path d="M{x:g} {y:.1f}L{to_x:g} {to_y:.1f}" stroke="{color}"{pattern}/>'


def text(x: float, y: float, words: str, anchor: str = "start", size: int = 13) -> str:
    """Return a line of text; ``size`` in pixels."""
    return (
        f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" font-size="{size}" fill="currentColor">'
        f"{html.escape(words)}</text>"
    )
