"""Whether a sweep is the one that a run directory already holds, or in what it differs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.errors import SweepError
from orchestrator.sweep.sweep import Sweep
from results import RunDirectory
from trials.config import LADDER_LISTS


def refuse_different(sweep: Sweep, directory: RunDirectory) -> None:
    """Check that a run directory is that of this sweep. Error: ``SweepError``."""
    if faults := difference_faults(sweep, directory):
        raise SweepError(faults)


def difference_faults(sweep: Sweep, directory: RunDirectory | None) -> list[str]:
    if directory is None or (stored := directory.read_sweep()) is None:
        return []
    return [f"{directory.uri} holds a different sweep: {line}" for line in differences(stored, sweep)]


_FREE = ("strategy.trials", "retries", "resources.")  # may change from launch to launch


def differences(stored: Mapping[str, Any], sweep: Sweep) -> list[str]:
    """Return a line for each field in which ``sweep`` cannot go on with the run of the ``stored`` sweep.

    Another budget, other resources and retries are the same sweep; so are more values in a swept list, and
    more rungs of the ladder. What an older version did not store has its default.
    """
    old, new = _flat(_with_defaults(stored)), _flat(sweep.model_dump(mode="json"))
    return [
        f"`{path}` is {_shown(old, path)} there, but {_shown(new, path)} here"
        for path in sorted(old.keys() | new.keys())
        if not path.startswith(_FREE) and not _extends(path, old.get(path, _ABSENT), new.get(path, _ABSENT))
    ]


def _with_defaults(stored: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return Sweep.from_mapping(stored).model_dump(mode="json")
    except SweepError:  # what was a sweep to another version
        return stored


_ABSENT = object()


def _extends(path: str, old: Any, new: Any) -> bool:
    if old == new:
        return True
    grows = path.startswith("sweep.") or path.removeprefix("trial.ladder.") in LADDER_LISTS
    if not grows or not isinstance(old, list) or not isinstance(new, list):
        return False
    return all(value in new for value in old)


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in content.items():
        nested = isinstance(value, Mapping) and not prefix.startswith("sweep.")
        flat |= _flat(value, f"{prefix}{name}.") if nested else {prefix + name: value}
    return flat


def _shown(flat: Mapping[str, Any], path: str) -> str:
    return repr(flat[path]) if path in flat else "not given"
