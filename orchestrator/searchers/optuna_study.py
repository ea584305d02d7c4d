"""A run as a study of Optuna's, for optuna-dashboard and whatever else reads studies."""

from __future__ import annotations

import typing
import warnings
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
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
from orchestrator.sweep.dimensions import Dimension, Range, as_text
from orchestrator.sweep.sweep import Sweep
from results import LedgerEntry, RunDirectory
from trials.config import LadderConfig, Rung

_RUNG = list(Rung.model_fields)
_NOTED = ["trial_key", "trial_index", "rung", "seed", "genotype", "accuracy", "macs", "memory_bytes"]
_NOTED += ["search_s", "train_s", "ladder_s", "finished_at"]
_DIRECTIONS = {"max": "maximize", "min": "minimize"}


def write_study(directory: RunDirectory, place: str) -> tuple[int, str]:
    """Add what a run holds to the study of its sweep's name at ``place``; return how many trials, and the name.

    Every point is a finished trial of the study: its parameters are the swept fields and those of the ladder that
    vary, its values the sweep's objectives, its constraints those of the sweep; trials given up are failed ones.
    What the study has is left alone.
    ``place`` is a journal (``*.log``, ``*.journal``), a SQLite file or the URL of a database; Optuna writes a trial
    to a database in a transaction of its own, with a statement for each of its values.

    Errors: ``OrchestratorError``: no sweep, a place that cannot be opened, a study of other objectives.
    """
    content = directory.read_sweep()
    if content is None:
        raise OrchestratorError(
            f"a study needs the sweep that was run, but {directory.uri} has no sweep.yaml"
        )
    sweep = Sweep.from_mapping(content)
    study = _open(sweep, place)
    known = {trial.user_attrs.get("point") for trial in study.get_trials(deepcopy=False)}
    new = [trial for trial in _trials(sweep, directory) if trial.user_attrs["point"] not in known]
    study.add_trials(new)
    return len(new), study.study_name


def _open(sweep: Sweep, place: str) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    directions = [_DIRECTIONS[sense] for sense in sweep.objectives.values()]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            storage = _storage(place)
            study = optuna.create_study(
                study_name=sweep.name, storage=storage, directions=directions, load_if_exists=True
            )
            names = study.metric_names
            if names is None and not study.get_trials(deepcopy=False):
                study.set_metric_names(list(sweep.objectives))
                names = study.metric_names
    except Exception as error:  # whatever the database or the disk raises
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise OrchestratorError(
            f"a study must be a SQLite file, a journal or a database, but got {place}: {reason}"
        ) from None
    if names != list(sweep.objectives) or [d.name.lower() for d in study.directions] != directions:
        raise OrchestratorError(
            f"the study {sweep.name} in {place} must have the objectives {dict(sweep.objectives)}, "
            f"but has {names}"
        )
    return study


def _storage(place: str) -> BaseStorage:
    if place.endswith((".log", ".journal")):
        return JournalStorage(JournalFileBackend(place))
    return RDBStorage(place if "://" in place else f"sqlite:///{place}")


def _trials(sweep: Sweep, directory: RunDirectory) -> Iterator[FrozenTrial]:
    entries = {entry.key: entry for entry in directory.read_ledger()}
    bounded = [bound.column for bound in sweep.bounds]
    names = list(dict.fromkeys(["point", *_NOTED, *_RUNG, *sweep.objectives, *bounded]))
    rungs = _rung_distributions(sweep)
    swept = {dimension.path: _distribution(dimension) for dimension in sweep.dimensions}
    for row in directory.read_points(columns=names).to_pylist():
        if row["trial_key"] in entries:
            yield _point(sweep, row, _parameters(sweep, entries[row["trial_key"]]), swept, rungs)
    for entry in entries.values():
        if entry.state == "failed":
            yield _failed(entry, _parameters(sweep, entry), swept)


def _point(
    sweep: Sweep,
    row: Mapping[str, Any],
    parameters: Mapping[str, Any],
    swept: Mapping[str, BaseDistribution],
    rungs: Mapping[str, BaseDistribution],
) -> FrozenTrial:
    values = [row[name] for name in sweep.objectives]
    measured = all(value is not None and value == value for value in values)
    noted = {name: row[name] for name in ["point", *_NOTED] if name != "finished_at"}
    trial = optuna.trial.create_trial(
        state=TrialState.COMPLETE if measured else TrialState.FAIL,
        values=[float(value) for value in values] if measured else None,
        params={**parameters, **{name: row[name] for name in rungs}},
        distributions={**swept, **rungs},
        constraints={str(bound): bound.violation(row[bound.column]) for bound in sweep.bounds},
        user_attrs=noted if measured else {**noted, "reason": "an objective was not measured"},
    )
    took = timedelta(seconds=row["search_s"] + row["train_s"] + row["ladder_s"])
    trial.datetime_complete = _local(row["finished_at"])
    trial.datetime_start = _local(row["finished_at"] - took)
    return trial


def _failed(
    entry: LedgerEntry, parameters: Mapping[str, Any], swept: Mapping[str, BaseDistribution]
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


def _parameters(sweep: Sweep, entry: LedgerEntry) -> dict[str, Any]:
    assignment = sweep.assignment(entry.config)
    return {d.path: _plain(assignment[d.path], _distribution(d)) for d in sweep.dimensions}


def _plain(value: Any, distribution: BaseDistribution) -> Any:
    return as_text(value) if isinstance(distribution, CategoricalDistribution) else value


def _distribution(dimension: Dimension) -> BaseDistribution:
    """Return the distribution of a swept field, by its values themselves: the axes that people read."""
    if isinstance(dimension, Range):
        low, high = dimension.low, dimension.high
        if dimension.integer:
            return IntDistribution(int(low), int(high), log=dimension.log, step=int(dimension.step or 1))
        return FloatDistribution(low, high, log=dimension.log, step=dimension.step)
    return _of_values(dimension.choices)


def _of_values(values: Sequence[Any]) -> BaseDistribution:
    kinds = {type(value) for value in values}
    if kinds <= {int}:
        return IntDistribution(min(values), max(values))
    if kinds <= {int, float}:
        return FloatDistribution(min(values), max(values))
    return CategoricalDistribution([as_text(value) for value in values])


def _rung_distributions(sweep: Sweep) -> dict[str, BaseDistribution]:
    """Return those of the ladder's fields that vary. Choices are all there are: a longer ladder fits the study."""
    found: dict[str, BaseDistribution] = {}
    for name in _RUNG:
        values = getattr(sweep.trial.ladder, name)
        if len(values) > 1:
            literals = _literals(LadderConfig.model_fields[name].annotation)
            found[name] = CategoricalDistribution(literals) if literals else _of_values(values)
    return found


def _literals(annotation: Any) -> list[str]:
    if typing.get_origin(annotation) is typing.Literal:
        return list(typing.get_args(annotation))
    return [name for part in typing.get_args(annotation) for name in _literals(part)]


def _local(at: datetime) -> datetime:
    """Return a time as Optuna keeps it: the clock of this machine, without a zone."""
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone().replace(tzinfo=None)
