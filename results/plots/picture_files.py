"""Figures as files: a page that opens in any browser, or a picture for a paper."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from results.errors import ResultsError, one_line
from results.paths import local_path

if TYPE_CHECKING:
    import plotly.graph_objects as go

PICTURES = (".svg", ".pdf", ".png")
"""Endings of pictures, which kaleido draws."""
ENDINGS = (*PICTURES, ".html")


def write_picture(
    figure: go.Figure, path: str | os.PathLike[str], *, width: int = 760, height: int = 420
) -> Path:
    """Write a figure to a file, whose ending decides its format, and return its path. Sizes are in pixels.

    Raises:
        ResultsError: another ending, the package for pictures is missing, or the file cannot be written.
    """
    target = local_path(path)
    ending = target.suffix.lower()
    if ending not in ENDINGS:
        raise ResultsError(f"a picture must end in {', '.join(ENDINGS)}, but got {os.fspath(path)!r}")
    if ending in PICTURES and find_spec("kaleido") is None:
        raise ResultsError(
            f"a picture in {ending} needs shrinksweep[pictures], which is not installed; .html does not"
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if ending == ".html":
            figure.write_html(target)
        else:
            figure.write_image(target, width=width, height=height)
    except (OSError, RuntimeError, ValueError) as error:  # kaleido raises these where it finds no browser
        raise ResultsError(
            f"a picture must be drawn and written, but {target}: {one_line(error, 300)}"
        ) from error
    return target
