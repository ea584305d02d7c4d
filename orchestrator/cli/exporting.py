"""``report`` and ``export``: a run as one page, a network as one folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli import completion
from orchestrator.cli.options import Output, RunPath, open_one_or_more

Point = Annotated[
    str,
    typer.Argument(metavar="POINT", help="A point, as the front names it.", autocompletion=completion.points),
]
Folder = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="FOLDER", help="Folder to write. [default: the point's name]"),
]

Onnx = Annotated[
    bool,
    typer.Option("--onnx", help="Write ONNX as well, checked with onnxruntime; needs shrinksweep[onnx]."),
]


def report(run: RunPath, output: Output = None) -> None:
    """Write a run as one HTML page.

    Its fronts, networks, learning curves and failures; the page needs no network. RUN may be a pattern such as
    'runs/*'.

    \b
    Examples:
      shrinksweep report runs/digits
      shrinksweep report runs/digits -o digits.html
      shrinksweep report "runs/*" -o all.html
    """
    from orchestrator.errors import OrchestratorError
    from results import write_report

    opened, path = open_one_or_more(run), output or Path("report.html")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_report(opened, path)
    except OSError as error:
        raise OrchestratorError(f"a file must be writable, but got {path}: {error.strerror}") from None
    typer.echo(f"wrote {path}")


def export(run: RunPath, point: Point, output: Folder = None, onnx: Onnx = False) -> None:
    """Take the trained network behind a point away.

    FOLDER gets a program that torch alone can run, with the threshold and the precisions of the point in it; the
    weights, the architecture and a model card; and a script that loads it and measures its accuracy again.

    \b
    Examples:
      shrinksweep export runs/digits 0123abcd-02
      shrinksweep export runs/digits 0123abcd-02 -o network --onnx
    """
    from results import open_run

    directory = open_run(run).directory
    from trials.export.export import export_point  # torch: only once there is a run

    folder = export_point(directory, point, output, onnx=onnx)
    typer.echo(f"wrote {folder}; try it: python {folder}/load.py")
