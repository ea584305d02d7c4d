"""A run for its readers: tables, questions and figures. plotly is imported when the first figure is drawn."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

from results.paths import local_path
from results.questions import RunQuestions
from results.summary import summary_html

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    import plotly.graph_objects as go

EXPORT = "trials.export.export:export_point"
"""The function that exports a point, as ``module:name``: this package does not know torch, and loads it when asked."""


class Run(RunQuestions):
    """One run, or several at once: then every data frame begins with a column ``run``.

    Made by ``open_run`` and ``open_runs``. Each call reads the files anew, so the sweep may still be running. Broken
    files are skipped, logged as warnings, and listed by ``problems()``.

    ``results.tables.run_tables`` describes the tables, ``results.questions`` the questions, ``results.plots`` the
    plotly figures.
    """

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the state of the run, and its front."""
        return summary_html(self)

    def export(
        self,
        point: str | pd.Series,
        folder: str | os.PathLike[str] | None = None,
        *,
        onnx: bool = False,
    ) -> Path:
        """Export the trained network of a point to a folder, as ``shrinksweep export`` does, and return the folder.

        Args:
            point: name of the point, or its row, such as ``run.knee()``.
            folder: the folder to create; None: named after the point, in the working directory.
            onnx: also write ``network.onnx``; needs ``shrinksweep[onnx]``.

        Raises:
            ShrinksweepError: no point matches, the network or the images are missing, or the folder is not writable.
        """
        module, _, name = EXPORT.partition(":")
        write = cast("Callable[..., Path]", getattr(import_module(module), name))
        label = point if isinstance(point, str) else str(point["point"])
        return write(self.directory, label, folder, onnx=onnx)

    def report(self, path: str | os.PathLike[str] = "report.html") -> Path:
        """Write the report as one HTML file, and return its path; see ``results.write_report``."""
        write = cast("Callable[..., None]", import_module("results.report.write").write_report)
        write(self, path)
        return local_path(path)

    def plot_front(
        self, x: str = "macs", y: str = "accuracy", *, color: str = "splitting", where: str | None = None
    ) -> go.Figure:
        """Return a scatter plot of the points over two columns; markers on the front are large.

        >>> run.plot_front("memory_bytes", color="threshold").layout.yaxis.title.text
        'accuracy (share of images)'
        """
        from results.plots import plots

        return plots.plot_front(self, x, y, color=color, where=where)

    def plot_fronts(
        self, x: str = "macs", y: str = "accuracy", *, by: str = "splitting", where: str | None = None
    ) -> go.Figure:
        """Return the front over two columns for each value of ``by``."""
        from results.plots import plots

        return plots.plot_fronts(self, x, y, by=by, where=where)

    def plot_attainment(
        self, x: str = "macs", y: str = "accuracy", *, over: str = "seed", where: str | None = None
    ) -> go.Figure:
        """Return the median front over the seeds, with the band between the quartiles."""
        from results.plots import plots

        return plots.plot_attainment(self, x, y, over=over, where=where)

    def plot_sparsity(
        self, y: str = "accuracy", *, by: str = "regularization", where: str | None = None
    ) -> go.Figure:
        """Return the sparsity of the feature maps against ``y``: a curve along tau for each lambda."""
        from results.plots import plots

        return plots.plot_sparsity(self, y, by=by, where=where)

    def plot_hypervolume(self, x: str = "trials", *, where: str | None = None) -> go.Figure:
        """Return the hypervolume over ``trials``, ``epochs`` or ``wall_s``."""
        from results.plots import plots

        return plots.plot_hypervolume(self, x, where=where)

    def plot_learning_curves(self, value: str = "accuracy", *, by: str | None = None) -> go.Figure:
        """Return a progress column over the epochs, one curve a trial, coloured by a swept field."""
        from results.plots import plots

        return plots.plot_learning_curves(self, value, by=by)

    def plot_parallel(self, color: str = "accuracy", *, where: str | None = None) -> go.Figure:
        """Return parallel coordinates of the columns in which the points differ."""
        from results.plots import plots

        return plots.plot_parallel(self, color, where=where)
