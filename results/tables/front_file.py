"""Keeps ``front.parquet`` up to date while the sweep runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from results.pareto import pareto
from results.pareto.constraints import Constraint, feasible
from results.pareto.objectives import Objectives
from results.schema import POINTS
from results.storage.parquet_files.schema_cast import ColumnSelection, join
from results.storage.run_directory import RunDirectory
from results.tables.frames import to_frame


def refresh_front(
    directory: RunDirectory,
    directions: Mapping[str, str],
    keys: Collection[str] | None = None,
    *,
    constraints: Sequence[Constraint] = (),
) -> pa.Table:
    """Update ``front.parquet`` and return the front, by trial_index and rung.

    Args:
        directory: the run.
        directions: the objectives of the sweep, {column: "max" or "min"}.
        keys: all trials that finished since the last update. Only their points are read, because points that were
            dominated stay dominated. None reads all points.
        constraints: points that violate one are not on the front.

    An unchanged front is not rewritten.
    """
    objectives = Objectives.of_sweep(directions)
    front = directory.read_front()
    if front is None or keys is None:
        columns = ["point", "trial_key", *objectives.names, *(bound.column for bound in constraints)]
        narrow = directory.read_points(columns=list(dict.fromkeys(columns)))
        on_front = _nondominated(narrow, objectives, constraints)
        trials = directory.read_points(set(on_front["trial_key"].to_pylist()))
        candidates = trials.filter(pc.is_in(trials["point"], on_front["point"].combine_chunks()))
    else:
        others = front.filter(pc.invert(pc.is_in(front["trial_key"], pa.array(list(keys), pa.string()))))
        candidates = join([others, directory.read_points(set(keys))], ColumnSelection(POINTS))
    updated = _nondominated(candidates, objectives, constraints)
    updated = updated.sort_by([("trial_index", "ascending"), ("rung", "ascending")])
    if front is None or not updated.equals(front):
        directory.write_front(updated)
    return updated


def _nondominated(points: pa.Table, objectives: Objectives, constraints: Sequence[Constraint]) -> pa.Table:
    """Return the points that satisfy the constraints and that no other such point dominates."""
    bounded = list(dict.fromkeys(bound.column for bound in constraints))
    if bounded:
        points = points.filter(pa.array(feasible(to_frame(points.select(bounded)), constraints)))
    frame = to_frame(points.select(list(objectives.names)))
    return points.filter(pa.array(pareto.front_mask(frame, objectives)))
