"""Writing the report of a run: one self-contained HTML file."""

from __future__ import annotations

import os

from results.errors import ResultsError
from results.paths import local_path
from results.report.material import Material
from results.report.page import page
from results.report.sections import sections
from results.run import Run

ENDINGS = ("", ".html", ".htm", ".xhtml")


def write_report(run: Run, path: str | os.PathLike[str]) -> None:
    """Write the report of a run to ``path`` as one HTML file. An existing file is replaced atomically.

    Works at any time. For a run that is still running, or has no results yet, the report says what is missing.

    Raises:
        BrokenFileError: the sweep file cannot be read.
        ResultsError: several runs have different objectives, or ``path`` has the ending of another format.
        OSError: ``path`` cannot be written.
    """
    target = local_path(path).resolve()  # a link stays one
    if target.suffix.lower() not in ENDINGS:
        raise ResultsError(f"a report is a page of HTML: its file must end in .html, but got {path}")
    content = report_html(run)
    if target.exists() and not target.is_file():  # a pipe or a device must not be replaced
        target.write_text(content, encoding="utf-8")
        return
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
