"""What the points of a run say about the trials of a sweep: which are finished, which failed, which lack rungs."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from orchestrator.sweep.sweep import Sweep
from results import RunDirectory
from results.storage.trial_files import Keys
from results.tables.evidence import Evidence
from trials.config import Rung

_RUNG = list(Rung.model_fields)
_DEFAULTS = {name: field.default for name, field in Rung.model_fields.items()}
"""What the points of older versions mean by null."""


@dataclass(frozen=True)
class Standing:
    """The trials that have points, by key."""

    evidence: Evidence
    short: set[str]
    """Trials whose points lack a rung of the ladder, which has grown since they ran."""

    @classmethod
    def read(cls, sweep: Sweep, directory: RunDirectory, key: Keys = None) -> Standing:
        """Read the points of a run; with ``key``, only those of one trial."""
        columns = dict.fromkeys(["trial_key", *_RUNG, *sweep.objectives])
        points = directory.read_points(key, list(columns))
        return cls(Evidence.of(points, sweep.objectives), _short_ladders(sweep, points))

    @property
    def finished(self) -> set[str]:
        """Trials that need nothing more."""
        return self.evidence.usable - self.short


def _short_ladders(sweep: Sweep, points: pa.Table) -> set[str]:
    evaluated: dict[str, set[tuple[object, ...]]] = {}
    columns = [points[name].to_pylist() for name in _RUNG]
    for trial_key, *rung in zip(points["trial_key"].to_pylist(), *columns, strict=True):
        known = (_DEFAULTS[name] if value is None else value for name, value in zip(_RUNG, rung, strict=True))
        evaluated.setdefault(trial_key, set()).add(tuple(known))
    wanted = {tuple(rung.model_dump()[name] for name in _RUNG) for rung in sweep.trial.ladder.rungs()}
    return {trial_key for trial_key, rungs in evaluated.items() if not wanted <= rungs}
