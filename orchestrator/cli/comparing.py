"""``compare``: two runs against each other."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli import completion
from orchestrator.cli.options import Maximize, Minimize, Output, Where, numbers, one_of, open_one_or_more

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

MEANING = {
    "points": "points with all objectives",
    "front": "of these, on the front of their own run",
    "hypervolume": "volume that the front dominates; more is better",
    "epsilon_additive": "shares of the ranges that a run lacks to be nowhere worse; less is better",
    "epsilon_multiplicative": "the same as a factor on the values; less is better",
    "coverage": "share of the other front that this run reaches; more is better",
}
"""The indicators of ``results.compare`` in a few words each."""

Reference = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COL=VALUE",
        help="Worst value that still counts for the hypervolume; for every objective. [default: worst seen]",
        autocompletion=completion.pairs,
    ),
]
A = Annotated[str, typer.Argument(metavar="A", help="A run.", autocompletion=completion.runs)]
B = Annotated[
    str, typer.Argument(metavar="B", help="The run to hold it against.", autocompletion=completion.runs)
]
Form = Annotated[str, typer.Option("--format", metavar="F", help="table, csv or json.")]


def compare(
    a: A,
    b: B,
    maximize: Maximize = None,
    minimize: Minimize = None,
    where: Where = None,
    reference: Reference = None,
    form: Form = "table",
    output: Output = None,
) -> None:
    """Hold two runs against each other.

    By hypervolume, epsilon indicators and coverage. Without --max and --min the objectives are those of the
    sweeps, which must be the same.

    \b
    Examples:
      shrinksweep compare runs/digits runs/digits-wide
      shrinksweep compare runs/digits runs/digits-wide --max accuracy --min macs --where "seed == 0"
      shrinksweep compare runs/digits runs/digits-wide --format csv
    """
    from orchestrator.cli.output import open_console, plain_lines, print_table, write_file, write_frame
    from orchestrator.errors import OrchestratorError

    one_of("--format", form, ("table", "csv", "json"))
    first, second = open_one_or_more(a), open_one_or_more(b)
    if not maximize and not minimize and first.objectives() != second.objectives():
        raise OrchestratorError(
            f"runs of different objectives need --max and --min, but {a} has {first.objectives()} "
            f"and {b} has {second.objectives()}"
        )
    goals = (maximize or None, minimize or None)
    limits = numbers("--reference", reference)
    found = first.compare(second, *goals, where=where, reference=limits)
    for name, column in ((a, "a"), (b, "b")):
        if not found.loc["points", column]:
            raise OrchestratorError(f"a comparison needs points with all objectives, but {name} has none")
    if form != "table":
        write_frame(found.reset_index(), form, output)
    elif output is None:
        print_table(_table(found, a, b), open_console())
    else:
        write_file(output, ("\n".join(plain_lines(_table(found, a, b))) + "\n").encode())


def _table(found: pd.DataFrame, a: str, b: str) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from orchestrator.status.progress import cell

    table = Table(box=SIMPLE_HEAD, padding=(0, 2, 0, 0))
    table.add_column("indicator", no_wrap=True)
    for name in (a, b):
        table.add_column(name.rstrip("/"), justify="right", overflow="fold")
    table.add_column("meaning")
    rows: dict[Any, dict[Any, float]] = found.to_dict("index")
    for name, meaning in MEANING.items():
        kind = int if name in ("points", "front") else float
        values = rows[name].values()
        table.add_row(name, *(cell(None if isnan(value) else kind(value)) for value in values), meaning)
    return table
