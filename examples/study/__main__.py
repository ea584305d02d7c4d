"""Bring runs into the study: keep their points, draw their pictures, fill the tables of its page.

python -m examples.study runs/fashion_mnist runs/attention     keep these runs, and do all of it
python -m examples.study                                       from what is kept
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
        "--to", type=Path, default=DOCS / "study", metavar="DIR", help="where all of it is kept"
    )
    asked = parser.parse_args()
    for run in asked.runs:
        archive.keep(run, asked.to / archive.name_of(run))
    studies = {folder.name: archive.read(folder) for folder in sorted(asked.to.iterdir()) if folder.is_dir()}
    for name, study in studies.items():
        for picture, text in as_svg(pictures(study)).items():
            (asked.to / name / f"{picture}.svg").write_text(text)
    page = asked.to.with_suffix(".md")
    page.write_text(tables.fill(page.read_text(), tables.tables(studies)))


if __name__ == "__main__":
    main()
