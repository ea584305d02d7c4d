"""Tables and data on the terminal or in a file: drawn for people, plain for pipes."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.progress_bar import ProgressBar
from rich.table import Table

if TYPE_CHECKING:
    import pandas as pd


def open_console() -> Console:
    """Return where people read: as wide as the terminal; piped, lines are as long as they are."""
    return Console() if sys.stdout.isatty() else Console(soft_wrap=True)


def print_table(table: Table, console: Console) -> None:
    """Print a table: drawn on a terminal; piped, aligned text without lines, colours or cuts."""
    if console.is_terminal:
        console.print(table)
    else:
        for line in plain_lines(table):
            typer.echo(line, file=console.file)


def plain_lines(table: Table) -> list[str]:
    """Return a table as aligned text, a row a line; every heading is one word, and nothing is cut."""
    columns = []
    for column in table.columns:
        heading = [_one_word(str(column.header))] if table.show_header else []
        cells = [*heading, *map(_text, column.cells)][-table.row_count - len(heading) :]
        width = max((len(cell) for cell in cells), default=0)
        right = column.justify == "right"
        columns.append([cell.rjust(width) if right else cell.ljust(width) for cell in cells])
    return ["  ".join(row).rstrip() for row in zip(*columns, strict=True)]


def write_frame(frame: pd.DataFrame, form: str, output: Path | None) -> None:
    """Write a frame as csv, json or parquet to a file or to the standard output. Error: ``OrchestratorError``."""
    from orchestrator.errors import OrchestratorError

    if form == "parquet" and output is None:
        raise OrchestratorError("`--format parquet` needs a file: give one with -o FILE")
    content = _content(frame, form)
    if output is None:
        sys.stdout.write(content.decode())
    else:
        write_file(output, content)


def write_file(path: Path, content: bytes) -> None:
    """Write a file, folders included. Error: ``OrchestratorError`` when it cannot be written."""
    from orchestrator.errors import OrchestratorError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise OrchestratorError(f"a file must be writable, but got {path}: {error.strerror}") from None


def _content(frame: pd.DataFrame, form: str) -> bytes:
    if form == "csv":
        return str(frame.to_csv(index=False)).encode()
    if form == "json":
        return str(frame.to_json(orient="records", indent=1, date_format="iso")).encode() + b"\n"
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


def _one_word(heading: str) -> str:
    return "_".join(heading.replace("_\n", "_").split())


def _text(cell: Any) -> str:
    if isinstance(cell, ProgressBar):
        return f"{100 * cell.completed / (cell.total or 1):.0f}%"
    return str(cell)


def indented(lines: Iterable[str]) -> list[str]:
    """Return lines two spaces in."""
    return [f"  {line}" for line in lines]
