"""A run as its reader sees it: data frames of points, epochs and trials, and questions about the front."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results import pareto
from results.objectives import Columns, Objectives, checked_columns, column_list
from results.run_tables import RunTables


class Run(RunTables):
    """One run, or several at once (then every frame begins with a column ``run``).

    Each call reads what is on storage now, so it works while the sweep runs and on runs that ended half-way.
    Broken files are skipped, with a warning in the log, and listed by ``problems()``. Made by ``open_run``
    and ``open_runs``.

    ``maximize`` and ``minimize`` name columns; with neither, the objectives are those of the sweep file.
    ``where`` keeps the rows for which an expression is true: ``"splitting in (2, 4) and accuracy > 0.9"``.
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
        front out, see ``pareto_front``. Errors: ``UnknownColumnError``, ``WhereError``, ``ResultsError``.
        """
        objectives = self._objectives(maximize, minimize)
        points = self._where(where)
        groups = column_list(by)
        chosen = np.zeros(len(points), dtype=bool)
        for _, rows in _groups(points, groups):
            chosen[rows] = pareto.front_mask(points.iloc[rows], objectives, epsilon)
        front = points[chosen]
        ascending = [True] * len(groups) + [not more for more in objectives.maximize]
        order = [*groups, *objectives.names]
        return front.sort_values(order, ascending=ascending, kind="stable", ignore_index=True)

    def ranks(
        self, maximize: Columns | None = None, minimize: Columns | None = None, *, where: str | None = None
    ) -> pd.DataFrame:
        """Return the points with a column ``rank``: 1 on the front, 2 on the front of the rest, ...; best
        first.
        """
        objectives = self._objectives(maximize, minimize)
        points = self._where(where)
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
        """
        objectives = self._objectives(maximize, minimize)
        points = self._where(where)
        reference = dict(reference) if reference is not None else pareto.worst(points, objectives)
        if by is None:
            return pareto.hypervolume_of(points, objectives, reference)
        groups = column_list(by)
        found = {
            value: pareto.hypervolume_of(points.iloc[rows], objectives, reference)
            for value, rows in _groups(points, groups)
        }
        volumes = pd.Series(found, name="hypervolume", dtype="float64")
        return volumes.rename_axis(index=list(groups))

    def _objectives(self, maximize: Columns | None, minimize: Columns | None) -> Objectives:
        if maximize is None and minimize is None:
            return Objectives.of_sweep(self.objectives())
        return Objectives.of(maximize, minimize)


def _groups(points: pd.DataFrame, names: tuple[str, ...]) -> Iterator[tuple[Any, NDArray[np.intp]]]:
    """Yield (value, places of its rows) for each value, or combination of values, of the columns."""
    if not names:
        yield None, np.arange(len(points))
        return
    checked_columns(names, points)
    by = names[0] if len(names) == 1 else list(names)
    for value, rows in points.groupby(by, observed=True, dropna=False).indices.items():
        yield value, np.asarray(rows, dtype=np.intp)
