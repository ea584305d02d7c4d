"""The commands ``report`` (a run as an HTML page) and ``export`` (a trained network as a folder)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli import completion
from orchestrator.cli.options import RunPath, open_one_or_more

Point = Annotated[
    str,
    typer.Argument(
        metavar="POINT",
        help="Name of the point, as `shrinksweep front` shows it.",
        autocompletion=completion.points,
    ),
]
Page = Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The HTML file to write.")]
Folder = Annotated[
    Path | None,
    typer.Option(
        "-o", "--output", metavar="FOLDER", help="The folder to write. [default: the name of the point]"
    ),
]
Onnx = Annotated[
    bool,
    typer.Option("--onnx", help="Also write ONNX, checked with onnxruntime; needs shrinksweep[onnx]."),
]


def report(run: RunPath, output: Page = Path("report.html")) -> None:
    """Write a report of a run as one HTML page.

    The page shows fronts, networks, learning curves and failures. It opens without a network connection. RUN may be a
    pattern such as 'runs/*'.

    \b
    Examples:
      shrinksweep report runs/digits
      shrinksweep report runs/digits -o digits.html
      shrinksweep report "runs/*" -o all.html
    """
    from orchestrator.errors import OrchestratorError
    from results import write_report
    from results.paths import local_path

    opened = open_one_or_more(run)
    try:
        local_path(output).parent.mkdir(parents=True, exist_ok=True)
        write_report(opened, output)
    except OSError as error:
        raise OrchestratorError(f"a file must be writable, but got {output}: {error.strerror}") from None
    typer.echo(f"wrote {output}")


def export(run: RunPath, point: Point, output: Folder = None, onnx: Onnx = False) -> None:
    """Export the trained network of a point.

    \b
    Writes to FOLDER:
      - a program that needs nothing but torch, with the threshold and the bit
        widths of the point built in
      - the weights, the architecture and a model card
      - load.py, which runs the program and measures its accuracy again

    \b
    Examples:
      shrinksweep export runs/digits 0123abcd-02
      shrinksweep export runs/digits 0123abcd-02 -o network --onnx
    """
    from results import open_run

    directory = open_run(run).directory
    from trials.export.export import export_point  # loads torch, so only for a run that exists

    folder = export_point(directory, point, output, onnx=onnx)
    typer.echo(f"wrote {folder}; try it: python {folder}/load.py")
