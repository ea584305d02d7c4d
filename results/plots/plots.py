"""Pictures of a run, as plotly figures: to be shown in a notebook, written to a file, or put into the report.

All have one look (``results.plots.style``): transparent, a palette for all eyes, units on the axes. In every
picture ``where`` keeps the points for which an expression is true; points that break a constraint of the sweep
are left out. Errors: ``UnknownColumnError`` with the
nearest column, ``WhereError``, ``ResultsError`` for a column without numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from results.pareto import pareto
from results.pareto.attainment import attainment
from results.pareto.objectives import Objectives, checked_columns
from results.plots.fronts import attainment_figure, front_figure, fronts_figure
from results.plots.genotype_drawing import genotype_svg
from results.plots.parallel import axes_of, parallel_figure
from results.plots.trials import curves_figure, hypervolume_figure, sparsity_figure
from results.schema import column_of_path
from results.tables.where import where_mask

if TYPE_CHECKING:
    from results.questions import RunQuestions

__all__ = [
    "genotype_svg",
    "plot_attainment",
    "plot_front",
    "plot_fronts",
    "plot_hypervolume",
    "plot_learning_curves",
    "plot_parallel",
    "plot_sparsity",
]


def plot_front(
    run: RunQuestions,
    x: str = "macs",
    y: str = "accuracy",
    *,
    color: str = "splitting",
    where: str | None = None,
) -> Any:
    """Return the points of a run in the plane of two columns.

    Large are the points on the front of the sweep's objectives; the dotted line is the front of the two columns
    alone. ``color`` is a column: each value has a colour and a symbol of its own, and more than 8 numbers are a
    scale. Pointing at a point shows its name, which ``shrinksweep export RUN POINT`` takes. A picture holds all
    of the front and at most 20,000 points.
    """
    points = _points(run, where)
    on_front = pareto.front_mask(points, Objectives.of_sweep(run.objectives()))
    return front_figure(points, on_front, run.objectives(), x=x, y=y, color=color)


def plot_fronts(
    run: RunQuestions,
    x: str = "macs",
    y: str = "accuracy",
    *,
    by: str = "splitting",
    where: str | None = None,
) -> Any:
    """Return the front in the plane of two columns for each value of ``by``."""
    return fronts_figure(_points(run, where), run.objectives(), by=by, x=x, y=y)


def plot_attainment(
    run: RunQuestions, x: str = "macs", y: str = "accuracy", *, over: str = "seed", where: str | None = None
) -> Any:
    """Return the median front over the seeds, and the band of the middle half. ``x`` must be a cost, ``y`` not."""
    points = _points(run, where)
    surfaces = attainment(points, maximize=y, minimize=x, over=over)
    return attainment_figure(surfaces, points[over].nunique(), x=x, y=y, over=over)


def plot_sparsity(
    run: RunQuestions, y: str = "accuracy", *, by: str = "regularization", where: str | None = None
) -> Any:
    """Return the sparsity of feature maps against ``y``: lines along tau, for each value of ``by``
    those of its networks thin, and their mean bold.

    Only the finest precision that was evaluated is shown, and its first codec.
    """
    return sparsity_figure(_points(run, where), y=y, by=by)


def plot_hypervolume(run: RunQuestions, x: str = "trials", *, where: str | None = None) -> Any:
    """Return how the hypervolume grew, as a share of the last, against ``trials``, ``epochs`` or ``wall_s``."""
    return hypervolume_figure(run.hypervolume_history(where=where), x=x)


def plot_learning_curves(run: RunQuestions, value: str = "accuracy", *, by: str | None = None) -> Any:
    """Return a curve of a progress column for each trial over its epochs.

    ``by`` is a swept field or a column of the trials, whose values have colours of their own. The search is dotted,
    the training drawn through; ``accuracy`` is that on the training images.
    """
    trials, groups, column = one_key(run.trials()), {}, ""
    if by is not None:
        column = column_of_path(by)
        checked_columns([column], trials)
        groups = dict(zip(trials["trial_key"], trials[column], strict=True))
    return curves_figure(one_key(run.progress()), groups, value=value, by=column)


def plot_parallel(run: RunQuestions, color: str = "accuracy", *, where: str | None = None) -> Any:
    """Return parallel coordinates of what the points differ in: swept fields, ladder and objectives."""
    points, directions = _points(run, where), run.objectives()
    on_front = pareto.front_mask(points, Objectives.of_sweep(directions))
    axes = axes_of(points, map(column_of_path, run.swept()))
    return parallel_figure(points, on_front, axes, color)


def one_key(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame of several runs with keys that tell apart the trials of each; of one run as it is."""
    if "run" not in frame.columns:
        return frame
    return frame.assign(trial_key=frame["run"].astype(str) + "/" + frame["trial_key"].astype(str))


def _points(run: RunQuestions, where: str | None) -> pd.DataFrame:
    points = one_key(run.feasible_points())
    return points[where_mask(points, where)].reset_index(drop=True)
