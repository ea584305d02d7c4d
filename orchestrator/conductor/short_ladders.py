"""Finished trials whose points lack rungs of the sweep's ladder: the ladder has grown since they ran."""

from __future__ import annotations

from orchestrator.sweep.sweep import Sweep
from results import RunDirectory
from trials.config import Rung


def short_ladders(sweep: Sweep, directory: RunDirectory, key: str | None = None) -> set[str]:
    """Return the keys of the trials with points that lack a rung; with ``key``, only that trial is looked at."""
    fields = list(Rung.model_fields)
    table = directory.read_points(key, ["trial_key", *fields])
    evaluated: dict[str, set[tuple[object, ...]]] = {}
    columns = [table[name].to_pylist() for name in fields]
    for trial_key, *rung in zip(table["trial_key"].to_pylist(), *columns, strict=True):
        evaluated.setdefault(trial_key, set()).add(tuple(rung))
    wanted = {tuple(rung.model_dump()[name] for name in fields) for rung in sweep.trial.ladder.rungs()}
    return {trial_key for trial_key, rungs in evaluated.items() if not wanted <= rungs}
