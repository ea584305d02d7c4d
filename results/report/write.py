"""Writing the report of a run: one self-contained HTML file."""

from __future__ import annotations

import os
from pathlib import Path

from results.report.material import Material
from results.report.page import page
from results.report.sections import sections
from results.run import Run


def write_report(run: Run, path: str | os.PathLike[str]) -> None:
    """Write the report of a run to ``path`` as one HTML file. An existing file is replaced atomically.

    Works at any time. For a run that is still running, or has no results yet, the report says what is missing.

    Raises:
        BrokenFileError: the sweep file cannot be read.
        ResultsError: several runs have different objectives.
        OSError: ``path`` cannot be written.
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
    """Return the report of a run as HTML text; errors as in ``write_report``."""
    material = Material.of(run)
    return page(material.title, sections(material))
