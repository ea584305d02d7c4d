"""A run as its reader sees it: tables, questions and pictures. plotly is loaded when the first picture is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from results.questions import RunQuestions

if TYPE_CHECKING:
    import plotly.graph_objects as go


class Run(RunQuestions):
    """One run, or several at once (then every frame begins with a column ``run``).

    Each call reads what is on storage now, so it works while the sweep runs and on runs that ended half-way.
    Broken files are skipped, with a warning in the log, and listed by ``problems()``. Made by ``open_run``
    and ``open_runs``.

    The tables are described in ``results.tables.run_tables``, the questions in ``results.questions``, the pictures,
    which are plotly figures, in ``results.plots``.
    """

    def plot_front(
        self, x: str = "macs", y: str = "accuracy", *, color: str = "splitting", where: str | None = None
    ) -> go.Figure:
        """Return the points in the plane of two columns, those on the front large.

        >>> run.plot_front("memory_bytes", color="threshold").layout.yaxis.title.text
        'accuracy (share of test images)'
        """
        from results.plots import plots

        return plots.plot_front(self, x, y, color=color, where=where)

    def plot_fronts(
        self, x: str = "macs", y: str = "accuracy", *, by: str = "splitting", where: str | None = None
    ) -> go.Figure:
        """Return the front in the plane of two columns for each value of ``by``."""
        from results.plots import plots

        return plots.plot_fronts(self, x, y, by=by, where=where)

    def plot_attainment(
        self, x: str = "macs", y: str = "accuracy", *, over: str = "seed", where: str | None = None
    ) -> go.Figure:
        """Return the median front over the seeds, and the band of the middle half."""
        from results.plots import plots

        return plots.plot_attainment(self, x, y, over=over, where=where)

    def plot_sparsity(
        self, y: str = "accuracy", *, by: str = "regularization", where: str | None = None
    ) -> go.Figure:
        """Return the sparsity of feature maps against ``y`` along tau, for each lambda."""
        from results.plots import plots

        return plots.plot_sparsity(self, y, by=by, where=where)

    def plot_hypervolume(self, x: str = "trials", *, where: str | None = None) -> go.Figure:
        """Return how the hypervolume grew against ``trials``, ``epochs`` or ``wall_s``."""
        from results.plots import plots

        return plots.plot_hypervolume(self, x, where=where)

    def plot_learning_curves(self, value: str = "accuracy", *, by: str | None = None) -> go.Figure:
        """Return a curve of a progress column for each trial over its epochs, coloured by a swept field."""
        from results.plots import plots

        return plots.plot_learning_curves(self, value, by=by)

    def plot_parallel(self, color: str = "accuracy", *, where: str | None = None) -> go.Figure:
        """Return parallel coordinates of what the points differ in."""
        from results.plots import plots

        return plots.plot_parallel(self, color, where=where)
