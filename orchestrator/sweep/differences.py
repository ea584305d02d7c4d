"""Differences between a sweep and the one that a run directory holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from orchestrator.errors import SweepError
from orchestrator.sweep.sweep import Sweep
from results import LedgerEntry, RunDirectory
from results.pareto.constraints import Constraint, parse_all
from trials.config import LADDER_LISTS, continuing, with_younger_fields


def refuse_different(sweep: Sweep, directory: RunDirectory) -> None:
    """Check that a run directory holds this sweep, or none.

    Raises:
        SweepError: one line for each field that differs.
    """
    if faults := difference_faults(sweep, directory):
        raise SweepError(faults)


def in_terms_of_run(sweep: Sweep, directory: RunDirectory) -> Sweep:
    """Return ``sweep`` as it continues the run in ``directory``.

    A run of an older version lacks the fields that came later. They have their former meaning there, unless the sweep
    sets them explicitly, which makes it a different sweep. A ladder that has grown stays long.
    """
    stored = directory.read_sweep()
    if stored is None:
        return sweep
    content = continuing(sweep, stored)
    old, new = (_flatten(whole).get for whole in (stored, content))
    longer = {
        name: values
        for name in LADDER_LISTS
        if isinstance(values := old(f"trial.ladder.{name}"), list)
        and isinstance(shorter := new(f"trial.ladder.{name}"), list)
        and all(value in values for value in shorter)
    }
    trial = cast(Mapping[str, Mapping[str, object]], content["trial"])
    return Sweep.from_mapping({**content, "trial": {**trial, "ladder": {**trial["ladder"], **longer}}})


def difference_faults(sweep: Sweep, directory: RunDirectory | None) -> list[str]:
    """Return one line for each field in which ``sweep`` differs from the stored sweep.

    Without a stored sweep, the trials tell whether the run is one of ``sweep``.
    """
    if directory is None:
        return []
    stored = directory.read_sweep()
    if stored is not None:
        return [f"{directory.uri} holds a different sweep: {line}" for line in differences(stored, sweep)]
    strangers = [entry for entry in directory.read_ledger()[:COMPARED_TRIALS] if not _proposes(sweep, entry)]
    return [
        f"{directory.uri} must hold the sweep.yaml of its trials, but it is missing or broken, and trial {entry.index} "
        "is not one of this sweep"
        for entry in strangers[:1]
    ]


COMPARED_TRIALS = 100
"""Trials that are compared with a sweep where the stored sweep is gone."""


def _proposes(sweep: Sweep, entry: LedgerEntry) -> bool:
    """Whether ``sweep`` could have proposed a recorded trial."""
    try:
        assignment = sweep.assignment(entry.config)
        same = sweep.config(assignment).trial_key() == entry.key
    except (KeyError, TypeError, ValueError):  # not a configuration of this version
        return False
    return same and all(assignment[dimension.path] in dimension for dimension in sweep.dimensions)


_CHANGEABLE = ("strategy.trials", "retries", "resources.", "reference")
"""Fields (or blocks) that may change from launch to launch."""


def differences(stored: Mapping[str, object], sweep: Sweep) -> list[str]:
    """Return one line for each field that keeps ``sweep`` from continuing the run of the ``stored`` sweep.

    The budget, resources, retries and the reference point may change. Swept lists and the lists of the ladder may grow,
    and constraints may be relaxed. Fields that an older version did not store have their defaults.
    """
    old, new = _flatten(_with_defaults(stored)), _flatten(sweep.model_dump(mode="json"))
    return [
        f"`{path}` is {_shown(old, path)} there, but {_shown(new, path)} here"
        for path in sorted(old.keys() | new.keys())
        if not path.startswith(_CHANGEABLE)
        and not _is_compatible(path, old.get(path, _MISSING), new.get(path, _MISSING))
    ]


def _with_defaults(stored: Mapping[str, object]) -> Mapping[str, object]:
    try:
        return Sweep.from_mapping(with_younger_fields(Sweep, stored)).model_dump(mode="json")
    except SweepError:  # stored by another version
        return stored


_MISSING = object()


def _is_compatible(path: str, old: object, new: object) -> bool:
    """Whether the values are equal, ``new`` is a longer list where lists may grow, or relaxes the constraints."""
    if old == new:
        return True
    if path == "constraints":
        return _relaxes(parse_all(cast(list[str], new)), parse_all(cast(list[str], old)))
    may_grow = path.startswith("sweep.") or path.removeprefix("trial.ladder.") in LADDER_LISTS
    if not may_grow or not isinstance(old, list) or not isinstance(new, list):
        return False
    return all(value in new for value in old)


def _relaxes(new: Iterable[Constraint], old: Sequence[Constraint]) -> bool:
    """Whether whatever satisfies the ``old`` constraints satisfies the ``new`` ones."""
    return all(
        any(
            (one.column, one.at_most) == (other.column, other.at_most)
            and (other.bound <= one.bound if one.at_most else other.bound >= one.bound)
            for other in old
        )
        for one in new
    )


def _flatten(content: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Return the values by dotted path; swept dimensions stay whole."""
    flat: dict[str, object] = {}
    for name, value in content.items():
        if isinstance(value, Mapping) and not prefix.startswith("sweep."):
            flat |= _flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _shown(flat: Mapping[str, object], path: str) -> str:
    return repr(flat[path]) if path in flat else "not given"
