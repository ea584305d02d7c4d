"""``front.parquet``: kept up to date while the sweep runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from results.pareto import pareto
from results.pareto.constraints import Constraint, feasible
from results.pareto.objectives import Objectives
from results.schema import POINTS
from results.storage.run_directory import RunDirectory
from results.storage.schema_cast import Shape, join
from results.tables.frames import to_frame


def refresh_front(
    directory: RunDirectory,
    directions: Mapping[str, str],
    keys: Collection[str] | None = None,
    *,
    constraints: Sequence[Constraint] = (),
) -> Any:
    """Bring ``front.parquet`` up to date and return it, a ``pa.Table`` in order of trials and rungs.

    ``directions`` are the sweep's objectives, {column: "max" or "min"}. With the ``keys`` of all trials that
    finished since the last time only their points are read: what the front dominated before stays dominated.
    Without, all are. Points that break one of the ``constraints`` are on no front. A front that has not changed is
    not written again.
    """
    objectives = Objectives.of_sweep(directions)
    front = directory.read_front()
    if front is None or keys is None:
        columns = ["point", "trial_key", *objectives.names, *(one.column for one in constraints)]
        narrow = directory.read_points(columns=list(dict.fromkeys(columns)))
        leading = _nondominated(narrow, objectives, constraints)
        whole = directory.read_points(set(leading["trial_key"].to_pylist()))
        candidates = whole.filter(pc.is_in(whole["point"], leading["point"].combine_chunks()))
    else:
        others = front.filter(pc.invert(pc.is_in(front["trial_key"], pa.array(list(keys), pa.string()))))
        candidates = join([others, directory.read_points(set(keys))], Shape(POINTS))
    chosen = _nondominated(candidates, objectives, constraints)
    chosen = chosen.sort_by([("trial_index", "ascending"), ("rung", "ascending")])
    if front is None or not chosen.equals(front):
        directory.write_front(chosen)
    return chosen


def _nondominated(points: Any, objectives: Objectives, constraints: Sequence[Constraint]) -> Any:
    bounded = [one.column for one in constraints]
    if bounded:
        kept = feasible(to_frame(points.select(list(dict.fromkeys(bounded)))), constraints)
        points = points.filter(pa.array(kept))
    frame = to_frame(points.select(list(objectives.names)))
    return points.filter(pa.array(pareto.front_mask(frame, objectives)))
