"""``front``: the points that no other dominates, as a table or as data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli import completion
from orchestrator.cli.options import (
    Maximize,
    Minimize,
    Output,
    RunPath,
    Where,
    numbers,
    one_of,
    open_one_or_more,
)

if TYPE_CHECKING:
    import pandas as pd

    from results import Run

By = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COL",
        help="A front for each value of this column; repeatable.",
        autocompletion=completion.columns,
    ),
]
Epsilon = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COL=WIDTH",
        help="Thin the front out: of points closer than this in every objective keep one; repeatable.",
        autocompletion=completion.pairs,
    ),
]
Sort = Annotated[
    str | None,
    typer.Option(
        metavar="COL",
        help="Sort by this column; -COL: from large to small. [default: best first]",
        autocompletion=completion.columns,
    ),
]
Knee = Annotated[bool, typer.Option("--knee", help="Only the point where the front bulges out most.")]
Form = Annotated[
    str,
    typer.Option(
        "--format", metavar="F", help="table, csv, json or parquet.", autocompletion=completion.formats
    ),
]


def front(
    run: RunPath,
    maximize: Maximize = None,
    minimize: Minimize = None,
    where: Where = None,
    by: By = None,
    epsilon: Epsilon = None,
    sort: Sort = None,
    knee: Knee = False,
    form: Form = "table",
    output: Output = None,
) -> None:
    """Show the points that no other dominates.

    Best first in the first objective; works while the sweep runs. RUN may be a pattern such as 'runs/*': then
    the runs are read as one, with a column run. With one objective it is the best point.

    \b
    Examples:
      shrinksweep front runs/digits
      shrinksweep front runs/digits --max accuracy --min memory_bytes --where "splitting in (1, 2)"
      shrinksweep front runs/digits --min macs --where "accuracy > 0.5"   # the smallest that is good enough
      shrinksweep front runs/digits --by splitting --epsilon accuracy=0.01
      shrinksweep front runs/digits --knee
      shrinksweep front "runs/*" --max accuracy --min macs --by run
      shrinksweep front runs/digits --format csv -o front.csv
    """
    from orchestrator.cli.output import write_frame
    from orchestrator.errors import OrchestratorError
    from results.pareto.choosing import knee_of
    from results.pareto.objectives import Objectives

    one_of("--format", form, completion.FORMATS)
    opened = open_one_or_more(run)
    objectives = _objectives(opened, maximize, minimize)
    goals = (maximize or None, minimize or None)  # neither: those of the sweep, and its constraints
    found = opened.front(*goals, where=where, by=by, epsilon=numbers("--epsilon", epsilon))
    if found.empty:
        raise OrchestratorError(_why_empty(opened, objectives, where))
    differing = _differing(opened, found)
    if knee:
        found = found.loc[[knee_of(found, Objectives.of_sweep(objectives)).name]]
    if sort is not None:
        found = _sorted(found, sort)
    if form == "table":
        runs = ["run"] if opened.names else []
        beside = [*runs, *differing, *(by or []), *([sort.removeprefix("-")] if sort else [])]
        _show(found, objectives, beside, output)
    else:
        write_frame(found, form, output)


def _objectives(run: Run, maximize: list[str] | None, minimize: list[str] | None) -> dict[str, str]:
    from results.pareto.objectives import Objectives

    if not maximize and not minimize:
        return run.objectives()
    return Objectives.of(maximize or (), minimize or ()).directions()


def _differing(run: Run, front: pd.DataFrame) -> list[str]:
    """Return what was swept or is a rung, and differs on the front."""
    from orchestrator.status.progress import SHOWN
    from results.schema import column_of_path

    names = dict.fromkeys([*SHOWN, *map(column_of_path, run.swept())])
    return [name for name in names if name in front.columns and front[name].nunique() > 1]


def _why_empty(run: Run, objectives: dict[str, str], where: str | None) -> str:
    count, constraints = len(run.points(["point"])), run.constraints()
    if not count:
        return f"a front needs a point, but no trial of {run!r} has finished yet"
    if where is not None:
        return f"a front needs a point, but none of the {count} points is left by --where {where!r}"
    if constraints and not len(run.feasible_points()):
        broken = " and ".join(map(str, constraints))
        return f"a front needs a point, but none of the {count} points keeps {broken}"
    return f"a front needs a point, but none of the {count} points has all of {', '.join(objectives)}"


def _sorted(frame: pd.DataFrame, sort: str) -> pd.DataFrame:
    from results.errors import unknown_column

    name = sort.removeprefix("-")
    if name not in frame.columns:
        raise unknown_column(name, frame.columns)
    return frame.sort_values(name, ascending=name == sort, kind="stable", ignore_index=True)


def _show(frame: pd.DataFrame, objectives: dict[str, str], beside: list[str], output: Path | None) -> None:
    import pyarrow as pa

    from orchestrator.cli.output import open_console, plain_lines, print_table, write_file
    from orchestrator.status.progress import table_of_points

    names = [name for name in frame.columns if frame[name].dtype != object]
    table = table_of_points(pa.Table.from_pandas(frame[names], preserve_index=False), objectives, beside)
    if output is None:
        print_table(table, open_console())
    else:
        write_file(output, ("\n".join(plain_lines(table)) + "\n").encode())
