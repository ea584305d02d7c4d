"""A front on the terminal or in a file: as a table, CSV, Parquet or JSON."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
from rich.console import Console

from orchestrator.errors import OrchestratorError
from orchestrator.progress import front_table
from results import open_run

FORMATS = ("table", "csv", "parquet", "json")


def write_front(
    uri: str,
    maximize: Sequence[str],
    minimize: Sequence[str],
    where: str | None,
    form: str,
    output: Path | None,
) -> None:
    """Write the front of a run to ``output`` or to the terminal. Error: ``OrchestratorError``."""
    if form not in FORMATS:
        raise OrchestratorError(f"`--format` must be one of {', '.join(FORMATS)}, but got {form!r}")
    if form == "parquet" and output is None:
        raise OrchestratorError("`--format parquet` needs a file: give one with -o FILE")
    run = open_run(uri)
    objectives = dict.fromkeys(maximize, "max") | dict.fromkeys(minimize, "min")
    if objectives:
        front = run.front(list(maximize), list(minimize), where=where)
    else:
        objectives = dict(run.objectives())
        front = run.front(where=where)
    if form == "table":
        _write_table(front, objectives, output)
        return
    content = _content(front, form)
    if output is not None:
        output.write_bytes(content)
    else:
        sys.stdout.write(content.decode())


def _content(front: pd.DataFrame, form: str) -> bytes:
    if form == "csv":
        return str(front.to_csv(index=False)).encode()
    if form == "json":
        return str(front.to_json(orient="records", indent=1, date_format="iso")).encode() + b"\n"
    buffer = io.BytesIO()
    front.to_parquet(buffer, index=False)
    return buffer.getvalue()


def _write_table(front: pd.DataFrame, objectives: dict[str, str], output: Path | None) -> None:
    columns = [name for name in front.columns if front[name].dtype != object]
    table = front_table(pa.Table.from_pandas(front[columns], preserve_index=False), objectives)
    if output is None:
        Console().print(table)
        return
    with output.open("w", encoding="utf-8") as file:
        Console(file=file, width=200).print(table)
