"""Questions about a run: front, hypervolume, knee, effects. Answers are data frames, not figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import overload

import numpy as np
import pandas as pd

from results.errors import ResultsError
from results.pareto import attainment, choosing, comparing, effects, history, pairing, pareto
from results.pareto.grouping import groups
from results.pareto.objectives import Columns, Objectives, column_list
from results.schema import column_of_path
from results.tables.names import columns_of, with_columns, with_named
from results.tables.point_names import fitting
from results.tables.run_tables import RunTables
from results.tables.where import where_mask

RUNG = [
    "threshold", "threshold_mode", "weight_bits", "feature_map_bits", "calibration", "correction", "outer_bits",
    "codec",
]  # fmt: skip
"""Columns that identify a ladder rung: they differ between the points of one trained network."""


class RunQuestions(RunTables):
    """Questions about one run, or about several at once.

    ``maximize`` and ``minimize`` name one column or several. Without both, the objectives are those of the sweep file,
    and points that violate its constraints are left out. ``where`` keeps the points for which an expression is true,
    see ``results.tables.where``. A column may also be named as tables show it (``s``, ``lambda``, ``tau``,
    ``map_bits``), or by the path of its field (``space.splitting``).

    Raises:
        UnknownColumnError: a name is no column; suggests the nearest one.
        WhereError: ``where`` is not an expression over the columns.
        ResultsError: the objectives or the reference point are not valid.
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
        """Return the points that no other point dominates, sorted by the first objective, best first.

        ``by`` gives one front for each value, or combination of values, of its columns. ``epsilon`` thins the front,
        see ``results.pareto_front``.

        >>> run.front(where="splitting in (2, 4)")[["accuracy", "macs"]]
           accuracy  macs
        0      0.89   900
        1      0.88   800
        2      0.86   600
        >>> run.front(minimize="macs", maximize="accuracy", by="splitting").groupby("splitting").size().to_dict()
        {1: 2, 2: 2, 4: 1}
        """
        points, objectives = self._select(maximize, minimize, where, by)
        names = columns_of(by)
        on_front = np.zeros(len(points), dtype=bool)
        for _, rows in groups(points, names):
            on_front[rows] = pareto.front_mask(
                points.iloc[rows], objectives, epsilon and with_columns(epsilon)
            )
        front = points[on_front]
        ascending = [True] * len(names) + [not more for more in objectives.maximize]
        order = [*names, *objectives.names]
        return front.sort_values(order, ascending=ascending, kind="stable", ignore_index=True)

    def rank(
        self, maximize: Columns | None = None, minimize: Columns | None = None, *, where: str | None = None
    ) -> pd.DataFrame:
        """Return the points with a column ``rank``, best first: 1 on the front, 2 on the front of the rest, ...

        >>> run.rank()["rank"].tolist()
        [1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 3]
        """
        points, objectives = self._select(maximize, minimize, where)
        points = points.assign(rank=pareto.layers(points, objectives))
        return points.sort_values("rank", kind="stable", ignore_index=True)

    @overload
    def hypervolume(
        self,
        maximize: Columns | None = None,
        minimize: Columns | None = None,
        *,
        where: str | None = None,
        by: None = None,
        reference: Mapping[str, float] | None = None,
    ) -> float: ...

    @overload
    def hypervolume(
        self,
        maximize: Columns | None = None,
        minimize: Columns | None = None,
        *,
        where: str | None = None,
        by: Columns,
        reference: Mapping[str, float] | None = None,
    ) -> pd.Series[float]: ...

    def hypervolume(
        self,
        maximize: Columns | None = None,
        minimize: Columns | None = None,
        *,
        where: str | None = None,
        by: Columns | None = None,
        reference: Mapping[str, float] | None = None,
    ) -> float | pd.Series[float]:
        """Return the volume that the points dominate; with ``by``, a Series with the volume of each group.

        ``reference``: see ``results.hypervolume``. None takes the reference point of the sweep file; objectives that it
        leaves out have their worst value over all points that ``where`` keeps. It is the same for all groups.

        >>> round(run.hypervolume(reference={"accuracy": 0.5, "macs": 1000}), 6)
        150.0
        >>> run.hypervolume(by="splitting", reference={"accuracy": 0.5, "macs": 1000}).round(6).to_dict()
        {1: 111.0, 2: 147.0, 4: 76.0}
        """
        points, objectives = self._select(maximize, minimize, where, by)
        reference = self._limits(points, objectives, reference)
        if by is None:
            return pareto.hypervolume_of(points, objectives, reference)
        names = columns_of(by)
        by_value = {
            value: pareto.hypervolume_of(points.iloc[rows], objectives, reference)
            for value, rows in groups(points, names)
        }
        volumes = pd.Series(by_value, name="hypervolume", dtype="float64")
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

        Columns: see ``results.pareto.history``. Several runs are listed one after the other, with the same
        ``reference``.

        >>> run.hypervolume_history()[["trials", "epochs", "wall_s"]].tail(2)
           trials  epochs  wall_s
        4       5      25   270.0
        5       6      30   330.0
        """
        points, objectives = self._select(maximize, minimize, where)
        progress = self.progress()
        limits = self._limits(points, objectives, reference)
        if self.names is None:
            return history.hypervolume_history(points, progress, objectives, limits)
        histories = []
        for name, rows in groups(points, ("run",)):
            of_run = history.hypervolume_history(
                points.iloc[rows], progress[progress["run"] == name], objectives, limits
            )
            of_run.insert(0, "run", str(name))
            histories.append(of_run)
        return pd.concat(histories, ignore_index=True) if histories else pd.DataFrame()

    def knee(
        self, maximize: Columns | None = None, minimize: Columns | None = None, *, where: str | None = None
    ) -> pd.Series:
        """Return the point of the front with the best compromise between the objectives, see ``results.knee``."""
        return choosing.knee_of(*self._select(maximize, minimize, where))

    def best(self, maximize: Columns = (), minimize: Columns = (), *, where: str | None = None) -> pd.Series:
        """Return the best point by the first objective; the next objectives break ties, in order.

        >>> run.best(minimize="macs", where="accuracy > 0.87")["macs"]
        800
        """
        return choosing.best(
            _filter(self.points(), where), maximize=columns_of(maximize), minimize=columns_of(minimize)
        )

    def compare(
        self,
        other: RunQuestions,
        maximize: Columns | None = None,
        minimize: Columns | None = None,
        *,
        where: str | None = None,
        reference: Mapping[str, float] | None = None,
    ) -> pd.DataFrame:
        """Compare this run (column ``a``) with another (column ``b``) by several indicators, see ``results.compare``.

        >>> run.compare(run).loc["coverage"].tolist()
        [1.0, 1.0]
        """
        a, objectives = self._select(maximize, minimize, where)
        b = _points(other, maximize, minimize, where)
        return comparing.compare_sets(a, b, objectives, reference and with_columns(reference))

    def compare_points(self, a: str, b: str) -> pd.Series:
        """Compare two points image by image, on the same test images: McNemar's exact test.

        ``a`` and ``b`` are names of points, or prefixes of their trial key followed by ``-`` and the rung. The result:
        see ``results.pareto.pairing``.

        Raises:
            ResultsError: a name fits no point, or several; a point of an older version, without ``correct``; points
                that were measured on different test images.
        """
        columns = ["point", "data", "test_images", "correct"]
        points = self.points(columns)
        left, right = (_named(points, name) for name in (a, b))
        for row in (left, right):
            if pd.isna(row["correct"]):
                raise ResultsError(
                    f"a comparison needs the images that each point got right, but {row['point']} is of a version "
                    "that did not store them"
                )
        on = [(str(row["data"]), int(row["test_images"])) for row in (left, right)]
        if on[0] != on[1]:
            raise ResultsError(
                f"points must be measured on the same test images, but got {on[0][1]} of {on[0][0]} and "
                f"{on[1][1]} of {on[1][0]}"
            )
        masks = (pairing.mask_of(row["correct"], on[0][1]) for row in (left, right))
        return pairing.compare(*masks)

    def attainment(
        self,
        maximize: Columns | None = None,
        minimize: Columns | None = None,
        *,
        where: str | None = None,
        over: Columns = "seed",
        levels: Sequence[float] = attainment.LEVELS,
    ) -> pd.DataFrame:
        """Return the attainment surfaces over the seeds, one for each of ``levels``, see ``results.attainment``.

        >>> run.attainment(levels=[0.5]).columns.tolist()
        ['level', 'accuracy', 'macs']
        """
        points, objectives = self._select(maximize, minimize, where)
        return attainment.attainment_of(points, objectives, columns_of(over), levels)

    def effect(
        self, factor: str, objectives: Columns | None = None, *, where: str | None = None
    ) -> pd.DataFrame:
        """Return the effect of each value of ``factor`` on each objective, with all other factors held equal.

        ``factor`` is a swept field or a column: ``"splitting"``, ``"regularization"``, ``"threshold"``, ... The other
        factors are the remaining swept fields, the seed, the run and the rung; a factor of the ladder is compared
        within each trained network. The confidence interval is over the seeds; with a single seed, over the pairs of
        trained networks (for a factor of the ladder: over the networks). Columns: see ``results.pareto.effects``.

        >>> run.effect("threshold", "accuracy")[["threshold", "objective", "change", "strata"]].round(3)
           threshold objective  change  strata
        0       0.00  accuracy    0.00       6
        1       0.05  accuracy   -0.05       6
        """
        points, column = _filter(self.points(), where), column_of_path(factor)
        names = tuple(self.objectives()) if objectives is None else columns_of(objectives)
        swept = ["trial_key"] if column in RUNG else [*map(column_of_path, self.swept()), "seed"]
        others = [name for name in ["run", *swept, *RUNG] if name in points.columns and name != column]
        others = list(dict.fromkeys(others))
        several = column != "seed" and points["seed"].nunique() > 1
        clusters = ["seed"] if several else [name for name in others if name not in RUNG]
        return effects.effect(points, column, objectives=names, others=others, clusters=clusters)

    def _limits(
        self, points: pd.DataFrame, objectives: Objectives, reference: Mapping[str, float] | None
    ) -> Mapping[str, float]:
        """Return ``reference``; None: that of the sweep file, completed by the worst values of ``points``."""
        if reference is None:
            return pareto.completed(self.reference(), points, objectives)
        return with_columns(reference)

    def _select(
        self,
        maximize: Columns | None,
        minimize: Columns | None,
        where: str | None,
        by: Columns | None = None,
    ) -> tuple[pd.DataFrame, Objectives]:
        """Return the points and the objectives of a question; the points have the columns that it names."""
        if maximize is None and minimize is None:
            objectives = Objectives.of_sweep(self.objectives())
        else:
            objectives = Objectives.of(columns_of(maximize), columns_of(minimize))
        named = [*column_list(maximize), *column_list(minimize), *column_list(by)]
        return with_named(_points(self, maximize, minimize, where), named), objectives


def _points(
    run: RunQuestions, maximize: Columns | None, minimize: Columns | None, where: str | None
) -> pd.DataFrame:
    """Return the points of a question; for the objectives of the sweep file, those that satisfy its constraints."""
    return _filter(run.feasible_points() if maximize is None and minimize is None else run.points(), where)


def _named(points: pd.DataFrame, name: str) -> pd.Series:
    """Return the row of the point ``name``, a whole name or a prefix of the key with the rung."""
    found = fitting(points["point"].tolist(), name)
    if len(found) != 1:
        count = f"{len(found)} points" if found else "no point"
        raise ResultsError(f"a name must fit one point, but {name!r} fits {count}")
    return points.astype(object).iloc[found[0]]


def _filter(points: pd.DataFrame, where: str | None) -> pd.DataFrame:
    return points if where is None else points[where_mask(points, where)].reset_index(drop=True)
