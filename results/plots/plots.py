"""The figures of a run: for notebooks, files and the report.

They share one style (``results.plots.style``): transparent background, colour-blind safe palette, units on the axes.
In every figure, ``where`` filters the points by an expression (``results.tables.where``), and points that violate a
constraint of the sweep are left out.

Every function raises ``UnknownColumnError`` for a name that is no column (with the nearest column), ``WhereError`` for
an invalid ``where``, and ``ResultsError`` for a column that must be numeric and is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from results.pareto import pareto
from results.pareto.attainment import attainment
from results.pareto.objectives import Objectives, check_columns
from results.plots.fronts import attainment_figure, front_figure, fronts_figure
from results.plots.genotype_drawing import genotype_svg
from results.plots.parallel import axes_of, parallel_figure
from results.plots.trials import curves_figure, hypervolume_figure, sparsity_figure
from results.schema import column_of_path
from results.tables.where import where_mask

if TYPE_CHECKING:
    import plotly.graph_objects as go

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
) -> go.Figure:
    """Return a scatter figure of the points of a run over two columns.

    Large markers are the points on the front of the sweep's objectives; the dotted line is the front of ``x`` and
    ``y`` alone. Each value of the column ``color`` has its own colour and symbol; more than 8 numbers get a colour
    scale. Hovering shows a point's name, which ``shrinksweep export RUN POINT`` takes. At most 20,000 points are
    drawn, among them the whole front.
    """
    points = _points(run, where)
    on_front = pareto.front_mask(points, Objectives.of_sweep(run.objectives()))
    x, y, color = map(column_of_path, (x, y, color))
    log = color in run.swept_on_log_scale()
    return front_figure(points, on_front, run.objectives(), x=x, y=y, color=color, log_color=log)


def plot_fronts(
    run: RunQuestions,
    x: str = "macs",
    y: str = "accuracy",
    *,
    by: str = "splitting",
    where: str | None = None,
) -> go.Figure:
    """Return the front of the columns ``x`` and ``y`` for each value of ``by``."""
    x, y, by = map(column_of_path, (x, y, by))
    return fronts_figure(_points(run, where), run.objectives(), by=by, x=x, y=y)


def plot_attainment(
    run: RunQuestions, x: str = "macs", y: str = "accuracy", *, over: str = "seed", where: str | None = None
) -> go.Figure:
    """Return the median front over the seeds and the band of the middle half. ``x`` is minimized, ``y`` maximized."""
    x, y, over = map(column_of_path, (x, y, over))
    points = _points(run, where)
    surfaces = attainment(points, maximize=y, minimize=x, over=over)
    return attainment_figure(surfaces, points[over].nunique(), x=x, y=y, over=over)


def plot_sparsity(
    run: RunQuestions, y: str = "accuracy", *, by: str = "regularization", where: str | None = None
) -> go.Figure:
    """Return the sparsity of feature maps against ``y`` as tau grows.

    Thin lines are networks, bold lines the mean over the networks of one value of ``by``. Only the finest precision
    and its first codec are shown.
    """
    return sparsity_figure(_points(run, where), y=column_of_path(y), by=column_of_path(by))


def plot_hypervolume(run: RunQuestions, x: str = "trials", *, where: str | None = None) -> go.Figure:
    """Return the hypervolume, as a share of its final value, against ``trials``, ``epochs`` or ``wall_s``."""
    return hypervolume_figure(run.hypervolume_history(where=where), x=x)


def plot_learning_curves(run: RunQuestions, value: str = "accuracy", *, by: str | None = None) -> go.Figure:
    """Return the learning curve of each trial: a progress column against the epochs.

    ``by`` is a swept field or a column of the trials; each of its values has its own colour. The search is dotted, the
    training solid. ``accuracy`` is training accuracy.
    """
    trials, groups, column = with_unique_keys(run.trials()), {}, ""
    if by is not None:
        column = column_of_path(by)
        check_columns([column], trials)
        groups = dict(zip(trials["trial_key"], trials[column], strict=True))
    return curves_figure(with_unique_keys(run.progress()), groups, value=value, by=column)


def plot_parallel(run: RunQuestions, color: str = "accuracy", *, where: str | None = None) -> go.Figure:
    """Return parallel coordinates over the swept fields, the ladder and the objectives in which the points differ."""
    points, directions = _points(run, where), run.objectives()
    on_front = pareto.front_mask(points, Objectives.of_sweep(directions))
    axes = axes_of(points, map(column_of_path, run.swept()))
    return parallel_figure(points, on_front, axes, column_of_path(color), run.swept_on_log_scale())


def with_unique_keys(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame of several runs with trial keys that are unique across runs; a frame of one run unchanged."""
    if "run" not in frame.columns:
        return frame
    return frame.assign(trial_key=frame["run"].astype(str) + "/" + frame["trial_key"].astype(str))


def _points(run: RunQuestions, where: str | None) -> pd.DataFrame:
    points = with_unique_keys(run.feasible_points())
    return points[where_mask(points, where)].reset_index(drop=True)
