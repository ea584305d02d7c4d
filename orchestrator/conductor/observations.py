"""What a searcher learns from: the objectives of a trial's points, and by how much they violate the constraints."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from orchestrator.sweep.sweep import Sweep
from results import RunDirectory


@dataclass
class Observation:
    """The points of one trial whose objectives are all finite, in the order of the ladder."""

    objectives: list[list[float]] = field(default_factory=list)
    """In the order of the sweep, [points, objectives]."""
    violations: list[list[float]] = field(default_factory=list)
    """Distance beyond each constraint, at most 0 where it is satisfied, [points, constraints]."""


def read_observations(
    sweep: Sweep, directory: RunDirectory, key: str | None = None
) -> dict[str, Observation]:
    """Return the observation of every trial that has points, by trial key; with ``key``, only of that trial."""
    objectives, bounds = list(sweep.objectives), sweep.bounds
    names = [*objectives, *(bound.column for bound in bounds)]
    table = directory.read_points(key, list(dict.fromkeys(["trial_key", *names])))
    columns = [table[name].to_pylist() for name in names]
    found: dict[str, Observation] = {}
    for trial_key, *values in zip(table["trial_key"].to_pylist(), *columns, strict=True):
        observation = found.setdefault(trial_key, Observation())
        point, bounded = values[: len(objectives)], values[len(objectives) :]
        if all(value is not None and math.isfinite(value) for value in point):
            observation.objectives.append([float(value) for value in point])
            observation.violations.append([b.violation(v) for b, v in zip(bounds, bounded, strict=True)])
    return found
