"""Compute the study: archive its runs, draw the pictures, fill the tables of its page.

python -m examples.study runs/fashion_mnist runs/attention     archive these runs first
python -m examples.study                                       from the archived runs
"""

from __future__ import annotations

import argparse
from pathlib import Path

from examples.study import archive, tables
from examples.study.pictures import pictures
from examples.study.svg import as_svg

DOCS = Path(__file__).parents[2] / "docs"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.study", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN", help="a run directory of the study")
    parser.add_argument(
        "--to", type=Path, default=DOCS / "study", metavar="DIR", help="folder of the archived runs"
    )
    options = parser.parse_args()
    for run in options.runs:
        archive.keep(run, options.to / archive.name_of(run))
    studies = {
        folder.name: archive.read(folder) for folder in sorted(options.to.iterdir()) if folder.is_dir()
    }
    for name, study in studies.items():
        for picture, text in as_svg(pictures(study)).items():
            (options.to / name / f"{picture}.svg").write_text(text)
    page = options.to.with_suffix(".md")
    page.write_text(tables.fill(page.read_text(), tables.tables(studies)))


if __name__ == "__main__":
    main()
