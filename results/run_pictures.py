"""The pictures of a run as its methods. plotly is loaded when the first one is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from results.run_tables import RunTables

if TYPE_CHECKING:
    from results.run import Run


class RunPictures(RunTables):
    """Pictures of one run, or of several: plotly figures, described in ``results.plots``."""

    def plot_front(
        self, x: str = "macs", y: str = "accuracy", *, color: str = "splitting", where: str | None = None
    ) -> Any:
        """Return the points in the plane of two columns, those on the front large.

        >>> run.plot_front("memory_bytes", color="threshold").layout.yaxis.title.text
        'accuracy (share of test images)'
        """
        from results import plots

        return plots.plot_front(self._run, x, y, color=color, where=where)

    def plot_fronts(
        self, x: str = "macs", y: str = "accuracy", *, by: str = "splitting", where: str | None = None
    ) -> Any:
        """Return the front in the plane of two columns for each value of ``by``."""
        from results import plots

        return plots.plot_fronts(self._run, x, y, by=by, where=where)

    def plot_attainment(
        self, x: str = "macs", y: str = "accuracy", *, over: str = "seed", where: str | None = None
    ) -> Any:
        """Return the median front over the seeds, and the band of the middle half."""
        from results import plots

        return plots.plot_attainment(self._run, x, y, over=over, where=where)

    def plot_sparsity(
        self, y: str = "accuracy", *, by: str = "regularization", where: str | None = None
    ) -> Any:
        """Return the sparsity of feature maps against ``y`` along tau, for each lambda."""
        from results import plots

        return plots.plot_sparsity(self._run, y, by=by, where=where)

    def plot_hypervolume(self, x: str = "trials", *, where: str | None = None) -> Any:
        """Return how the hypervolume grew against ``trials``, ``epochs`` or ``wall_s``."""
        from results import plots

        return plots.plot_hypervolume(self._run, x, where=where)

    def plot_learning_curves(self, value: str = "accuracy", *, by: str | None = None) -> Any:
        """Return a curve of a progress column for each trial over its epochs, coloured by a swept field."""
        from results import plots

        return plots.plot_learning_curves(self._run, value, by=by)

    def plot_parallel(self, color: str = "accuracy", *, where: str | None = None) -> Any:
        """Return parallel coordinates of what the points differ in."""
        from results import plots

        return plots.plot_parallel(self._run, color, where=where)

    @property
    def _run(self) -> Run:
        return cast("Run", self)
