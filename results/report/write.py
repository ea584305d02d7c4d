"""One page about a run: a self-contained HTML file that needs no network."""

from __future__ import annotations

import os
from pathlib import Path

from results.report.material import Material
from results.report.page import page
from results.report.sections import sections
from results.run import Run


def write_report(run: Run, path: str | os.PathLike[str]) -> None:
    """Write the report of a run to ``path``, one HTML file with everything in it.

    Works at any time: on a run that is under way, or has left nothing yet, it says what is missing. Errors:
    ``BrokenFileError`` for a sweep file that cannot be read; ``OSError`` when ``path`` cannot be written.
    """
    target = Path(path)
    content = report_html(run)
    partial = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        partial.write_text(content, encoding="utf-8")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def report_html(run: Run) -> str:
    """Return the report as HTML text."""
    material = Material.of(run)
    return page(material.title, sections(material))
