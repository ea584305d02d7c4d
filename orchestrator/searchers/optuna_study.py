"""A run as an Optuna study, for optuna-dashboard and other readers of studies."""

from __future__ import annotations

import typing
import warnings
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from orchestrator.errors import OrchestratorError
from orchestrator.sweep.dimensions import Dimension, FieldValue, Range, as_text, leaf_fields
from orchestrator.sweep.sweep import Sweep
from results import LedgerEntry, RunDirectory
from results.errors import one_line
from trials.config import LadderConfig, Rung

_RUNG_FIELDS = list(Rung.model_fields)
_USER_ATTRIBUTES = ["point", "trial_key", "trial_index", "rung", "seed", "genotype", "accuracy", "macs"]
_USER_ATTRIBUTES += ["memory_bytes", "search_s", "train_s", "ladder_s"]
_DIRECTIONS = {"max": "maximize", "min": "minimize"}


def write_study(directory: RunDirectory, location: str) -> tuple[int, str]:
    """Add a run's points to the study named after its sweep; return the number of added trials, and the name.

    Every point becomes a finished trial. Its parameters are the swept fields and the ladder fields that vary, its
    values are the sweep's objectives, its constraints are the sweep's. A trial that was given up becomes a failed one.
    Trials that the study already has are not changed.

    Args:
        directory: the run.
        location: a journal (``*.log``, ``*.journal``), a SQLite file or the URL of a database. In a database, Optuna
            writes each trial in its own transaction, with one statement for each value.

    Raises:
        OrchestratorError: the run has no sweep, the location cannot be opened or does not take the points, or the study
            has other objectives.
    """
    content = directory.read_sweep()
    if content is None:
        raise OrchestratorError(
            f"a study needs the sweep that was run, but {directory.uri} has no sweep.yaml"
        )
    sweep = Sweep.from_mapping(content)
    study = _open_study(sweep, location)
    known = {trial.user_attrs.get("point") for trial in study.get_trials(deepcopy=False)}
    new = [trial for trial in _trials(sweep, directory) if trial.user_attrs["point"] not in known]
    try:
        study.add_trials(new)
    except Exception as error:  # a list that has grown, or whatever a database raises
        raise OrchestratorError(
            f"the study {sweep.name} in {location} must take the new points, but {one_line(error)}; "
            "a journal (-o FILE.log) takes lists that have grown, and a new file all points"
        ) from None
    return len(new), study.study_name


def _open_study(sweep: Sweep, location: str) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    directions = [_DIRECTIONS[direction] for direction in sweep.objectives.values()]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            storage = _open_storage(location)
            study = optuna.create_study(
                study_name=sweep.name, storage=storage, directions=directions, load_if_exists=True
            )
            names = study.metric_names
            if names is None and not study.get_trials(deepcopy=False):
                study.set_metric_names(list(sweep.objectives))
                names = study.metric_names
    except Exception as error:  # databases and disks raise errors of many classes
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise OrchestratorError(
            f"a study must be a SQLite file, a journal or a database, but got {location}: {reason}"
        ) from None
    if names != list(sweep.objectives) or [d.name.lower() for d in study.directions] != directions:
        raise OrchestratorError(
            f"the study {sweep.name} in {location} must have the objectives {dict(sweep.objectives)}, "
            f"but has {names}"
        )
    return study


def _open_storage(location: str) -> BaseStorage:
    if "://" in location:
        return RDBStorage(location)
    ending = Path(location).suffix.lower()
    if ending in (".log", ".journal"):
        return JournalStorage(JournalFileBackend(location))
    if ending not in ("", ".db", ".sqlite", ".sqlite3"):
        raise OrchestratorError(
            f"no kind of study ends in {ending}; a journal ends in .log, a SQLite file in .db"
        )
    return RDBStorage(f"sqlite:///{location}")


def _trials(sweep: Sweep, directory: RunDirectory) -> Iterator[FrozenTrial]:
    entries = {entry.key: entry for entry in directory.read_ledger()}
    bounded = [bound.column for bound in sweep.bounds]
    names = [*_USER_ATTRIBUTES, "finished_at", *_RUNG_FIELDS, *sweep.objectives, *bounded]
    rungs = _rung_distributions(sweep)
    swept = {dimension.path: _distribution(dimension) for dimension in sweep.dimensions}
    for row in directory.read_points(columns=list(dict.fromkeys(names))).to_pylist():
        if row["trial_key"] in entries:
            yield _finished_trial(sweep, row, _parameters(sweep, entries[row["trial_key"]]), swept, rungs)
    for entry in entries.values():
        if entry.state == "failed":
            yield _failed_trial(entry, _parameters(sweep, entry), swept)


def _finished_trial(
    sweep: Sweep,
    row: Mapping[str, Any],
    parameters: Mapping[str, FieldValue],
    swept: Mapping[str, BaseDistribution],
    rungs: Mapping[str, BaseDistribution],
) -> FrozenTrial:
    """Return a point, one row of the points table, as a trial; a failed one if an objective was not measured."""
    values = [row[name] for name in sweep.objectives]
    measured = all(value is not None and value == value for value in values)  # neither null nor NaN
    attributes = {name: row[name] for name in _USER_ATTRIBUTES}
    rung = Rung.of_row(row)
    trial = optuna.trial.create_trial(
        state=TrialState.COMPLETE if measured else TrialState.FAIL,
        values=[float(value) for value in values] if measured else None,
        params={**parameters, **{name: getattr(rung, name) for name in rungs}},
        distributions={**swept, **rungs},
        constraints={str(bound): bound.violation(row[bound.column]) for bound in sweep.bounds},
        user_attrs=attributes if measured else {**attributes, "reason": "an objective was not measured"},
    )
    duration = timedelta(seconds=row["search_s"] + row["train_s"] + row["ladder_s"])
    trial.datetime_complete = _local_time(row["finished_at"])
    trial.datetime_start = _local_time(row["finished_at"] - duration)
    return trial


def _failed_trial(
    entry: LedgerEntry, parameters: Mapping[str, FieldValue], swept: Mapping[str, BaseDistribution]
) -> FrozenTrial:
    return optuna.trial.create_trial(
        state=TrialState.FAIL,
        params=dict(parameters),
        distributions=dict(swept),
        user_attrs={
            "point": f"{entry.key}-failed", "trial_key": entry.key, "trial_index": entry.index,
            "seed": entry.seed, "reason": entry.reason or "no reason known",
        },
    )  # fmt: skip


def _parameters(sweep: Sweep, entry: LedgerEntry) -> dict[str, FieldValue]:
    assignment = sweep.assignment(entry.config)
    return {d.path: _to_parameter(assignment[d.path], _distribution(d)) for d in sweep.dimensions}


def _to_parameter(value: FieldValue, distribution: BaseDistribution) -> FieldValue:
    return as_text(value) if isinstance(distribution, CategoricalDistribution) else value


def _distribution(dimension: Dimension) -> BaseDistribution:
    """Return the distribution of a dimension over its values, not their indices: they are the axes of the plots."""
    if isinstance(dimension, Range):
        low, high = dimension.low, dimension.high
        if dimension.integer:
            return IntDistribution(int(low), int(high), log=dimension.log, step=int(dimension.step or 1))
        return FloatDistribution(low, high, log=dimension.log, step=dimension.step)
    if len(dimension.paths) == 1 and (known := _literals(leaf_fields()[dimension.path].annotation)):
        return CategoricalDistribution([as_text(name) for name in known])  # the list may grow
    return _distribution_of(dimension.choices)


def _distribution_of(values: Sequence[FieldValue]) -> BaseDistribution:
    kinds = {type(value) for value in values}
    numbers = [value for value in values if isinstance(value, int | float)]
    if kinds <= {int}:
        return IntDistribution(min(numbers), max(numbers))
    if kinds <= {int, float}:
        return FloatDistribution(min(numbers), max(numbers))
    return CategoricalDistribution([as_text(value) for value in values])


def _rung_distributions(sweep: Sweep) -> dict[str, BaseDistribution]:
    """Return the distributions of the ladder fields that vary.

    A field with choices gets all that exist, so that a study can take the points of a longer ladder.
    """
    found: dict[str, BaseDistribution] = {}
    for name in _RUNG_FIELDS:
        values = getattr(sweep.trial.ladder, name)
        if isinstance(values, tuple) and len(values) > 1:
            choices = _literals(LadderConfig.model_fields[name].annotation)
            found[name] = CategoricalDistribution(choices) if choices else _distribution_of(values)
    return found


def _literals(annotation: object) -> list[str]:
    """Return the values of the Literal types inside a type annotation."""
    if typing.get_origin(annotation) is typing.Literal:
        return list(typing.get_args(annotation))
    return [name for part in typing.get_args(annotation) for name in _literals(part)]


def _local_time(at: datetime) -> datetime:
    """Return a time as Optuna stores it: local and without a time zone."""
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone().replace(tzinfo=None)
