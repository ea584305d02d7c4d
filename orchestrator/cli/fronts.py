"""The command ``front``: the Pareto front of a run, as a table or as data."""

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
    check_choice,
    open_one_or_more,
    parse_pairs,
)

if TYPE_CHECKING:
    import pandas as pd

    from results import Run

By = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COL",
        help="One front for each value of this column; repeatable.",
        autocompletion=completion.columns,
    ),
]
Epsilon = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COL=WIDTH",
        help="Thin out the front: of points closer than WIDTH in every objective, keep one; repeatable.",
        autocompletion=completion.pairs,
    ),
]
Sort = Annotated[
    str | None,
    typer.Option(
        metavar="COL",
        help="Sort by this column, or by -COL in descending order. [default: first objective, best first]",
        autocompletion=completion.columns,
    ),
]
Knee = Annotated[
    bool, typer.Option("--knee", help="Show only the knee: the point where the front bulges out most.")
]
Form = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="F",
        help="table, csv, json, parquet or xlsx. [default: by the ending of FILE, else table]",
        autocompletion=completion.formats,
    ),
]


Plot = Annotated[
    Path | None,
    typer.Option(
        "--plot",
        metavar="FILE",
        help="Draw the points and their front: .html, or .svg, .pdf and .png with shrinksweep[pictures].",
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
    form: Form = None,
    output: Output = None,
    plot: Plot = None,
) -> None:
    """Show the Pareto front: the points that no other dominates.

    Works while the sweep runs. With one objective, the front is the best point. RUN may be a pattern such as
    'runs/*': the runs are then read as one, with a column `run`.

    \b
    Examples:
      shrinksweep front runs/digits
      shrinksweep front runs/digits --max accuracy --min memory_bytes
      shrinksweep front runs/digits --where "splitting in (1, 2)" --by splitting
      shrinksweep front runs/digits --min macs --where "accuracy > 0.5"
      shrinksweep front runs/digits --epsilon accuracy=0.01
      shrinksweep front runs/digits --knee
      shrinksweep front "runs/*" --max accuracy --min macs --by run
      shrinksweep front runs/digits -o front.csv
      shrinksweep front runs/digits --plot front.svg
    """
    from orchestrator.cli.output import format_of, write_frame
    from orchestrator.errors import OrchestratorError
    from results.pareto.choosing import knee_of
    from results.pareto.objectives import Objectives
    from results.tables.names import columns_of

    form = format_of(form, output)
    check_choice("--format", form, completion.FORMATS)
    opened = open_one_or_more(run)
    objectives = _objectives(opened, maximize, minimize)
    # With neither --max nor --min, None: the objectives of the sweep, and its constraints.
    points = opened.front(
        maximize or None, minimize or None, where=where, by=by, epsilon=parse_pairs("--epsilon", epsilon)
    )
    if points.empty:
        of_sweep = not maximize and not minimize
        raise OrchestratorError(_why_empty(opened, objectives, where, of_sweep=of_sweep))
    for remark in opened.data_remarks():
        typer.echo(f"note: {remark}", err=True)
    differing = _differing(opened, points)
    if plot is not None:
        _draw(opened, objectives, where, plot)
    if knee:
        points = points.loc[[knee_of(points, Objectives.of_sweep(objectives)).name]]
    if sort is not None:
        points = _sorted(points, sort)
    if form == "table":
        runs = ["run"] if opened.names else []
        beside = [*runs, *differing, *columns_of(by), *columns_of(sort and sort.removeprefix("-"))]
        _show(points, objectives, beside, output)
        if "accuracy" in objectives and "test" in (images := opened.measured_on()):
            typer.echo(
                f"accuracy is that of {images} images: some points have no validation images", err=True
            )
    else:
        write_frame(points, form, output)


def _draw(run: Run, objectives: dict[str, str], where: str | None, path: Path) -> None:
    """Draw all points over the first objective (or the first to maximize) and the first of the others."""
    from results import write_picture

    y = next((name for name, way in objectives.items() if way == "max"), next(iter(objectives)))
    x = next((name for name in objectives if name != y), "macs")
    typer.echo(f"wrote {write_picture(run.plot_front(x, y, where=where), path)}", err=True)


def _objectives(run: Run, maximize: list[str] | None, minimize: list[str] | None) -> dict[str, str]:
    from results.pareto.objectives import Objectives
    from results.tables.names import columns_of

    if not maximize and not minimize:
        return run.objectives()
    return Objectives.of(columns_of(maximize), columns_of(minimize)).directions()


def _differing(run: Run, front: pd.DataFrame) -> list[str]:
    """Return the swept fields and the fields of the ladder in which the points of a front differ."""
    from orchestrator.status.tables import HEADINGS
    from results.schema import column_of_path

    names = dict.fromkeys([*HEADINGS, *map(column_of_path, run.swept())])
    return [name for name in names if name in front.columns and front[name].nunique() > 1]


def _why_empty(run: Run, objectives: dict[str, str], where: str | None, *, of_sweep: bool) -> str:
    from results.pareto.no_front import why_no_front
    from results.tables.where import where_mask

    points = run.points()
    if points.empty:
        return f"a front needs a point, but no trial of {run!r} has finished yet"
    if where is not None and not where_mask(points, where).any():
        return f"a front needs a point, but none of the {len(points)} points matches --where {where!r}"
    constraints = run.constraints() if of_sweep else ()
    return f"a front needs a point, but {why_no_front(points, objectives, constraints)}"


def _sorted(points: pd.DataFrame, sort: str) -> pd.DataFrame:
    from results.errors import unknown_column
    from results.schema import column_of_path
    from results.tables.names import with_named

    points = with_named(points, [sort.removeprefix("-")])
    name = column_of_path(sort.removeprefix("-"))
    if name not in points.columns:
        raise unknown_column(name, points.columns)
    return points.sort_values(name, ascending=not sort.startswith("-"), kind="stable", ignore_index=True)


def _show(points: pd.DataFrame, objectives: dict[str, str], beside: list[str], output: Path | None) -> None:
    import pyarrow as pa
    from pandas.api.types import is_string_dtype

    from orchestrator.cli.output import show_table
    from orchestrator.status.tables import points_table

    # No lists; text is of dtype object before pandas 3.
    names = [name for name in points.columns if points[name].dtype != object or is_string_dtype(points[name])]
    table = pa.Table.from_pandas(points[names], preserve_index=False)
    show_table(points_table(table, objectives, beside), output)
