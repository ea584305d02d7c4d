"""Tables and data frames, printed or written to a file: drawn on a terminal, plain text elsewhere."""

from __future__ import annotations

import io
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress_bar import ProgressBar
from rich.table import Table

if TYPE_CHECKING:
    import pandas as pd


def open_console() -> Console:
    """Return a console for the standard output. Lines are wrapped on a terminal only."""
    return Console() if sys.stdout.isatty() else Console(soft_wrap=True)


def show_table(table: Table, output: Path | None) -> None:
    """Print a table, or write it to a file as plain text.

    Raises:
        OrchestratorError: the file cannot be written.
    """
    if output is None:
        print_table(table, open_console())
    else:
        write_file(output, ("\n".join(plain_lines(table)) + "\n").encode())


def print_table(table: Table, console: Console) -> None:
    """Print a table: drawn on a terminal as far as there is room, as plain text elsewhere."""
    from orchestrator.status.narrow import Fitted

    if console.is_terminal:
        console.print(Fitted(table))
    else:
        for line in plain_lines(table):
            typer.echo(line, file=console.file)


def plain_lines(table: Table) -> list[str]:
    """Return a table as aligned text without borders: one line a row, headings of one word, nothing cut off."""
    columns = []
    for column in table.columns:
        heading = [_one_word(str(column.header))] if table.show_header else []
        cells = [*heading, *map(_text, column.cells)][-table.row_count - len(heading) :]
        width = max((len(cell) for cell in cells), default=0)
        right = column.justify == "right"
        columns.append([cell.rjust(width) if right else cell.ljust(width) for cell in cells])
    return ["  ".join(row).rstrip() for row in zip(*columns, strict=True)]


ENDINGS = {
    "": "table", ".txt": "table", ".csv": "csv", ".json": "json", ".parquet": "parquet", ".xlsx": "xlsx"
}  # fmt: skip
"""The formats of files by their endings."""


def format_of(form: str | None, output: Path | None) -> str:
    """Return the format of an output: the one that is asked for, else that of the file's ending, else a table.

    Raises:
        OrchestratorError: there is no format with this ending.
    """
    from orchestrator.errors import OrchestratorError

    if form is not None or output is None:
        return form or "table"
    if (found := ENDINGS.get(output.suffix.lower())) is None:
        raise OrchestratorError(
            f"FILE must end in {', '.join(filter(None, ENDINGS))}, unless --format tells its format, but got {output}"
        )
    return found


def write_frame(frame: pd.DataFrame, form: str, output: Path | None) -> None:
    """Write a data frame to a file, or to the standard output.

    Args:
        frame: the data.
        form: csv, json, parquet or xlsx.
        output: the file; None is the standard output.

    Raises:
        OrchestratorError: Parquet or Excel without a file, Excel without its package, or a file that cannot be written.
    """
    from orchestrator.errors import OrchestratorError

    if form in ("parquet", "xlsx") and output is None:
        raise OrchestratorError(f"`--format {form}` needs a file: give one with -o FILE")
    if form == "xlsx" and find_spec("openpyxl") is None:
        raise OrchestratorError(
            "an Excel file needs the package openpyxl, but it is not installed: pip install openpyxl"
        )
    content = _content(frame, form)
    if output is None:
        sys.stdout.write(content.decode())
    else:
        write_file(output, content)


def write_file(path: Path, content: bytes) -> None:
    """Write a file, and create its folder.

    Raises:
        OrchestratorError: the file cannot be written.
    """
    from orchestrator.errors import OrchestratorError
    from results.paths import local_path

    path = local_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise OrchestratorError(f"a file must be writable, but got {path}: {error.strerror}") from None
    if path.is_file():  # no line into a pipe or a device
        typer.echo(f"wrote {path}")


def _content(frame: pd.DataFrame, form: str) -> bytes:
    if form in ("csv", "xlsx"):
        frame = _without_formulas(frame)
    if form == "csv":
        return str(frame.to_csv(index=False)).encode()
    if form == "json":
        return str(frame.to_json(orient="records", indent=1, date_format="iso")).encode() + b"\n"
    buffer = io.BytesIO()
    if form == "xlsx":
        times = frame.select_dtypes("datetimetz").columns  # Excel has no time zones
        frame.assign(**{name: frame[name].dt.tz_localize(None) for name in times}).to_excel(
            buffer, index=False
        )
    else:
        frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


def _without_formulas(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame whose texts no spreadsheet takes for formulas: those that look like one get an apostrophe."""
    import pandas as pd

    def neutral(value: object) -> object:
        return (
            f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t")) else value
        )

    texts = [name for name in frame if not pd.api.types.is_numeric_dtype(frame[name].dtype)]
    texts = [name for name in texts if not pd.api.types.is_datetime64_any_dtype(frame[name].dtype)]
    return frame.assign(**{str(name): frame[name].astype(object).map(neutral) for name in texts})


def _one_word(heading: str) -> str:
    return "_".join(heading.replace("_\n", "_").split())


def _text(cell: object) -> str:
    if isinstance(cell, ProgressBar):
        return f"{100 * cell.completed / (cell.total or 1):.0f}%"
    return str(cell)
