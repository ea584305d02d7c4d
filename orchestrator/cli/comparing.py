"""The command ``compare``: quality indicators of two runs, side by side."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli import completion
from orchestrator.cli.options import (
    Maximize,
    Minimize,
    Output,
    Where,
    check_choice,
    open_one_or_more,
    parse_pairs,
)

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from results import Run

MEANINGS = {
    "points": "points with all objectives",
    "front": "of these, on the front of their own run",
    "hypervolume": "volume that the front dominates; higher is better",
    "hypervolume_near": "the same up to a point just beyond the front of both; they may disagree",
    "epsilon_additive": "improvement needed to match the other front, as a share of each range; lower is better",
    "epsilon_multiplicative": "the same as a factor on the values; lower is better",
    "coverage": "share of the other front that this run equals or dominates; higher is better",
}
"""The rows of ``results.compare``, each explained in a few words."""

Reference = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COL=VALUE",
        help="Reference point of the hypervolume: the worst value that counts, for every objective. "
        "[default: the worst values of both runs]",
        autocompletion=completion.pairs,
    ),
]
A = Annotated[str, typer.Argument(metavar="A", help="The first run.", autocompletion=completion.runs)]
B = Annotated[str, typer.Argument(metavar="B", help="The second run.", autocompletion=completion.runs)]
Form = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="F",
        help="table, csv, json, parquet or xlsx. [default: by the ending of FILE, else table]",
    ),
]


def compare(
    a: A,
    b: B,
    maximize: Maximize = None,
    minimize: Minimize = None,
    where: Where = None,
    reference: Reference = None,
    form: Form = None,
    output: Output = None,
) -> None:
    """Compare two runs.

    Shows the hypervolume, the epsilon indicators and the coverage. Without --max and --min, both sweeps must have
    the same objectives.

    \b
    Examples:
      shrinksweep compare runs/digits runs/digits-wide
      shrinksweep compare runs/digits runs/digits-wide --max accuracy --min macs
      shrinksweep compare runs/digits runs/digits-wide --where "seed == 0"
      shrinksweep compare runs/digits runs/digits-wide --format csv
    """
    from orchestrator.cli.output import format_of, show_table, write_frame
    from orchestrator.errors import OrchestratorError
    from results.pareto.no_front import why_no_front

    form = format_of(form, output)
    check_choice("--format", form, ("table", "csv", "json", "parquet", "xlsx"))
    first, second = open_one_or_more(a), open_one_or_more(b)
    if not maximize and not minimize and first.objectives() != second.objectives():
        raise OrchestratorError(
            f"runs of different objectives need --max and --min, but {a} has {first.objectives()} "
            f"and {b} has {second.objectives()}"
        )
    reference_point = parse_pairs("--reference", reference)
    compared = first.compare(
        second, maximize or None, minimize or None, where=where, reference=reference_point
    )
    for name, column, run in ((a, "a", first), (b, "b", second)):
        if not compared.loc["points", column]:
            constraints = () if maximize or minimize else run.constraints()
            why = f": {why_no_front(run.points(), run.objectives(), constraints)}" if constraints else ""
            raise OrchestratorError(
                f"a comparison needs points with all objectives, but {name} has none{why}"
            )
    for remark in _data_remarks({a: first, b: second}):
        typer.echo(f"note: {remark}", err=True)
    if form == "table":
        show_table(_table(compared, a, b), output)
    else:
        write_frame(compared.reset_index(), form, output)


def _data_remarks(runs: dict[str, Run]) -> list[str]:
    import pandas as pd

    from results.tables.data_sets import data_remarks

    points = [run.points(["data", "data_fingerprint"]).assign(run=name) for name, run in runs.items()]
    return data_remarks(pd.concat([table.astype(object) for table in points]))


def _table(compared: pd.DataFrame, a: str, b: str) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from orchestrator.status.tables import format_cell

    table = Table(box=SIMPLE_HEAD, padding=(0, 2, 0, 0))
    table.add_column("indicator", no_wrap=True)
    for name in (a, b):
        table.add_column(name.rstrip("/"), justify="right", overflow="fold")
    table.add_column("meaning")
    rows = compared.to_dict("index")
    for indicator, meaning in MEANINGS.items():
        kind = int if indicator in ("points", "front") else float
        values = rows[indicator].values()
        table.add_row(
            indicator, *(format_cell(None if isnan(value) else kind(value)) for value in values), meaning
        )
    return table
