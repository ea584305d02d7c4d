"""Questions about a run: its front, hypervolume, knee, effects. Answers are data frames, no pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from results.pareto import attainment, choosing, comparing, effects, history, pareto
from results.pareto.grouping import groups
from results.pareto.objectives import Columns, Objectives, column_list
from results.schema import column_of_path
from results.tables.run_tables import RunTables
from results.tables.where import where_mask

RUNG = ["threshold", "threshold_mode", "weight_bits", "feature_map_bits", "codec"]
"""Columns that differ between the points of one trained network."""


class RunQuestions(RunTables):
    """Questions about one run, or about several at once.

    In every question ``maximize`` and ``minimize`` name columns, or one column. With neither, the objectives are those
    of the sweep file, and points that break its constraints are left out. ``where`` keeps the points for which an
    expression is true, see ``results.tables.where``.

    Errors: ``UnknownColumnError`` with the nearest column, ``WhereError``, and others.
    """

    def front(
        self,
        maximize: Columns | None = None,
        minimize: Columns | None = None,
        *,
        where: str | None = None,
        by: Columns | None = None,
        epsilon: Mapping[str, float] | None = None,
    ) -> pd.DataFrame:
        """Return the points that no other dominates, best first in the first objective.

        ``by`` gives a front for each value (or combination of values) of its columns; ``epsilon`` thins the
        front out, see ``pareto_front``.

        >>> run.front(where="splitting in (2, 4)")[["accuracy", "macs"]]
           accuracy  macs
        0      0.89   900
        1      0.88   800
        2      0.86   600
        >>> run.front(minimize="macs", maximize="accuracy", by="splitting").groupby("splitting").size().to_dict()
        {1: 2, 2: 2, 4: 1}
        """
        objectives = self._objectives(maximize, minimize)
        points = self._asked(maximize, minimize, where)
        names = column_list(by)
        chosen = np.zeros(len(points), dtype=bool)
        for _, rows in groups(points, names):
            chosen[rows] = pareto.front_mask(points.iloc[rows], objectives, epsilon)
        front = points[chosen]
        ascending = [True] * len(names) + [not more for more in objectives.maximize]
        order = [*names, *objectives.names]
        return front.sort_values(order, ascending=ascending, kind="stable", ignore_index=True)

    def rank(
        self, maximize: Columns | None = None, minimize: Columns | None = None, *, where: str | None = None
    ) -> pd.DataFrame:
        """Return the points with a column ``rank``: 1 on the front, 2 on the front of the rest; best first.

        >>> run.rank()["rank"].tolist()
        [1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 3]
        """
        objectives = self._objectives(maximize, minimize)
        points = self._asked(maximize, minimize, where)
        points = points.assign(rank=pareto.layers(points, objectives))
        return points.sort_values("rank", kind="stable", ignore_index=True)

    def hypervolume(
        self,
        maximize: Columns | None = None,
        minimize: Columns | None = None,
        *,
        where: str | None = None,
        by: Columns | None = None,
        reference: Mapping[str, float] | None = None,
    ) -> Any:
        """Return the volume that the points dominate, a float; with ``by``, a Series of one for each group.

        ``reference``: see ``pareto.hypervolume``; None is the worst value of each objective among all the
        points kept by ``where``, the same for all groups.

        >>> round(run.hypervolume(reference={"accuracy": 0.5, "macs": 1000}), 6)
        150.0
        >>> run.hypervolume(by="splitting", reference={"accuracy": 0.5, "macs": 1000}).round(6).to_dict()
        {1: 111.0, 2: 147.0, 4: 76.0}
        """
        objectives = self._objectives(maximize, minimize)
        points = self._asked(maximize, minimize, where)
        reference = dict(reference) if reference is not None else pareto.worst(points, objectives)
        if by is None:
            return pareto.hypervolume_of(points, objectives, reference)
        names = column_list(by)
        found = {
            value: pareto.hypervolume_of(points.iloc[rows], objectives, reference)
            for value, rows in groups(points, names)
        }
        volumes = pd.Series(found, name="hypervolume", dtype="float64")
        return volumes.rename_axis(index=list(names))

    def hypervolume_history(
        self,
        maximize: Columns | None = None,
        minimize: Columns | None = None,
        *,
        where: str | None = None,
        reference: Mapping[str, float] | None = None,
    ) -> pd.DataFrame:
        """Return the hypervolume after each finished trial, against trials, epochs and wall time.

        Columns: see ``results.pareto.history``. Several runs are followed one by one, with the same ``reference``.

        >>> run.hypervolume_history()[["trials", "epochs", "wall_s"]].tail(2)
           trials  epochs  wall_s
        4       5      25   270.0
        5       6      30   330.0
        """
        objectives = self._objectives(maximize, minimize)
        points, progress = self._asked(maximize, minimize, where), self.progress()
        limits = pareto.worst(points, objectives) if reference is None else reference
        if self.names is None:
            return history.hypervolume_history(points, progress, objectives, limits)
        found = []
        for name, rows in groups(points, ("run",)):
            own = history.hypervolume_history(
                points.iloc[rows], progress[progress["run"] == name], objectives, limits
            )
            own.insert(0, "run", name)
            found.append(own)
        return pd.concat(found, ignore_index=True) if found else pd.DataFrame()

    def knee(
        self, maximize: Columns | None = None, minimize: Columns | None = None, *, where: str | None = None
    ) -> pd.Series[Any]:
        """Return the point of the front that bulges out most, see ``results.knee``."""
        return choosing.knee_of(self._asked(maximize, minimize, where), self._objectives(maximize, minimize))

    def best(
        self, maximize: Columns = (), minimize: Columns = (), *, where: str | None = None
    ) -> pd.Series[Any]:
        """Return the best point in the first column named; of equal ones the best in the second, and so on.

        >>> run.best(minimize="macs", where="accuracy > 0.87")["macs"]
        800
        """
        return choosing.best(_kept(self.points(), where), maximize=maximize, minimize=minimize)

    def compare(
        self,
        other: RunQuestions,
        maximize: Columns | None = None,
        minimize: Columns | None = None,
        *,
        where: str | None = None,
        reference: Mapping[str, float] | None = None,
    ) -> pd.DataFrame:
        """Return indicators of this run (column ``a``) against another (``b``), see ``results.compare``.

        >>> run.compare(run).loc["coverage"].tolist()
        [1.0, 1.0]
        """
        objectives = self._objectives(maximize, minimize)
        a, b = (run._asked(maximize, minimize, where) for run in (self, other))
        return comparing.compare_sets(a, b, objectives, reference)

    def attainment(
        self,
        maximize: Columns | None = None,
        minimize: Columns | None = None,
        *,
        where: str | None = None,
        over: Columns = "seed",
        levels: Sequence[float] = attainment.LEVELS,
    ) -> pd.DataFrame:
        """Return the fronts that shares ``levels`` of the seeds attain, see ``results.attainment``.

        >>> run.attainment(levels=[0.5]).columns.tolist()
        ['level', 'accuracy', 'macs']
        """
        objectives = self._objectives(maximize, minimize)
        points = self._asked(maximize, minimize, where)
        return attainment.attainment_of(points, objectives, over, levels)

    def effect(
        self, factor: str, objectives: Columns | None = None, *, where: str | None = None
    ) -> pd.DataFrame:
        """Return what each value of ``factor`` does to each objective, all other factors held equal.

        ``factor`` is a swept field or column: ``"splitting"``, ``"regularization"``, ``"threshold"``, ...
        Held equal are the other swept fields, the seed, the run, and the rung; a factor of the ladder is
        compared within each trained network. Columns: see ``results.pareto.effects``.

        >>> run.effect("threshold", "accuracy")[["threshold", "objective", "change", "strata"]].round(3)
           threshold objective  change  strata
        0       0.00  accuracy    0.00       6
        1       0.05  accuracy   -0.05       6
        """
        points, column = _kept(self.points(), where), column_of_path(factor)
        wanted = tuple(self.objectives()) if objectives is None else column_list(objectives)
        swept = ["trial_key"] if column in RUNG else [*map(column_of_path, self.swept()), "seed"]
        others = [name for name in ["run", *swept, *RUNG] if name in points.columns and name != column]
        return effects.effect(points, column, objectives=wanted, others=list(dict.fromkeys(others)))

    def _objectives(self, maximize: Columns | None, minimize: Columns | None) -> Objectives:
        if maximize is None and minimize is None:
            return Objectives.of_sweep(self.objectives())
        return Objectives.of(maximize, minimize)

    def _asked(self, maximize: Columns | None, minimize: Columns | None, where: str | None) -> pd.DataFrame:
        """Return the points of a question; those of the sweep's own objectives keep its constraints."""
        points = self.feasible_points() if maximize is None and minimize is None else self.points()
        return _kept(points, where)


def _kept(points: pd.DataFrame, where: str | None) -> pd.DataFrame:
    return points if where is None else points[where_mask(points, where)].reset_index(drop=True)
