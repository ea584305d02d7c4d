"""A sweep: a trial configuration, what differs between trials, and how to go about it.

``Sweep.from_yaml("sweep.yaml")`` and ``Sweep(name=..., sweep={...})`` check everything that can be checked
without a cluster, and raise one :class:`SweepError` that holds every fault, one line each.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import pyarrow as pa
from pydantic import Field, PositiveInt, ValidationError, field_validator, model_validator

from orchestrator.errors import SweepError, fault_lines, without_faults
from orchestrator.sweep import combinations, dimensions, joint_dimensions, yaml_text
from orchestrator.sweep.dimensions import Assignment, Dimension, Range
from results import ResultsError
from results.errors import nearest
from results.pareto.constraints import Constraint, parse_all
from results.schema import POINTS, PROGRESS
from trials.config import Config, TrialConfig


def _known_columns(objectives: dict[str, str], schema: pa.Schema) -> dict[str, str]:
    numeric = [f.name for f in schema if pa.types.is_floating(f.type) or pa.types.is_integer(f.type)]
    for name in objectives:
        if name not in numeric:
            raise ValueError(f"there is no numeric column `{name}`{nearest(name, numeric)}")
    return objectives


class HalvingConfig(Config):
    """Multi-objective asynchronous successive halving, on a budget of epochs."""

    first_epochs: PositiveInt = 1
    """Epochs, over both phases of a trial, before it is compared for the first time."""
    eta: Annotated[int, Field(ge=2)] = 3
    """One of so many goes on; the next comparison comes after so many times the epochs."""
    objectives: dict[str, Literal["max", "min"]] = Field(
        default={"accuracy": "max", "effective_macs": "min"}, min_length=1
    )
    """Columns of the progress; epochs in which one of them was not measured are not compared. `effective_macs` is
    measured in the training, `expected_macs` in the search."""

    @field_validator("objectives")
    @classmethod
    def _columns(cls, objectives: dict[str, str]) -> dict[str, str]:
        return _known_columns(objectives, PROGRESS)


class StrategyConfig(Config):
    """Which trials are proposed, how many, and which are stopped early."""

    searcher: Literal["grid", "random", "nsga2", "tpe"] = "random"
    """grid: every combination; random: scrambled Sobol points; nsga2, tpe: Optuna's, over all objectives."""
    trials: PositiveInt | None = None
    """The budget; null: the whole grid, or 16."""
    population: Annotated[int, Field(ge=2)] = 20
    """Trials in a generation (nsga2), or before the model is asked for the first time (tpe)."""
    scheduler: Literal["none", "halving"] = "none"
    """Which trials are stopped early: none, or those that halving finds not worth their next epochs."""
    halving: HalvingConfig = HalvingConfig()
    """How halving goes about it."""


class ResourcesConfig(Config):
    """What one trial needs, and how many run at a time."""

    workers: PositiveInt = 1
    """Processes that run one trial together, data-parallel."""
    cpus_per_worker: Annotated[float, Field(ge=0)] = 1.0
    """CPUs that each worker reserves."""
    gpus_per_worker: Annotated[float, Field(ge=0)] = 0.0
    """GPUs that each worker reserves; a fraction: several trials share one."""
    max_concurrent: PositiveInt | None = None
    """Trials at a time; null: as many as the cluster holds."""

    @field_validator("gpus_per_worker")
    @classmethod
    def _whole_above_one(cls, gpus: float) -> float:
        if gpus > 1 and not gpus.is_integer():
            raise ValueError(f"a worker must reserve whole GPUs or a fraction of one, but got {gpus:g}")
        return gpus

    @model_validator(mode="after")
    def _something(self) -> ResourcesConfig:
        if not self.cpus_per_worker and not self.gpus_per_worker:
            raise ValueError(
                "a worker must reserve a CPU or a GPU, but got cpus_per_worker=0, gpus_per_worker=0"
            )
        return self


class Sweep(Config):
    """A whole sweep, as a sweep file holds it. Raises ``SweepError`` with every fault at once."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
    """Name of the sweep: letters, digits, dots, dashes and underscores."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Seed of the searcher, and of every trial unless `trial.seed` says otherwise."""
    objectives: dict[str, Literal["max", "min"]] = Field(
        default={"accuracy": "max", "macs": "min", "memory_bytes": "min"}, min_length=1
    )
    """Columns of the points, and whether more or less of each is better."""
    constraints: tuple[str, ...] = ()
    """Bounds on columns of the points, such as `macs <= 3e8`: what breaks one is on no front. Bounds on `macs`, `flops`
    and `params` are checked as soon as a trial has found its architecture: one that breaks them is not trained."""
    trial: TrialConfig = TrialConfig()
    """What every trial has in common."""
    sweep: dict[str, Any] = Field(min_length=1)
    """What differs between trials: dotted paths into the trial, each a list, {low, high} or {choices}; several paths,
    separated by commas, are swept together: a list of lists."""
    strategy: StrategyConfig = StrategyConfig()
    resources: ResourcesConfig = ResourcesConfig()
    retries: Annotated[int, Field(ge=0)] = 2
    """Failed attempts of a trial that are forgiven: in a row, without an epoch of progress between them."""

    def __init__(self, **fields: Any) -> None:
        fields = _with_trial_seed(fields)
        faults: list[str] = []
        try:
            super().__init__(**fields)
        except ValidationError as error:
            faults = fault_lines(error, Sweep)
            trial = without_faults(fields.get("trial"), error, "trial")
            faults += [line for line in _trial_faults(trial) if line not in faults]
            fields |= {"trial": trial} if "trial" in fields else {}
        dims, found = _parse_dimensions(fields.get("sweep"))
        faults += found
        base = _trial_or_none(fields.get("trial", {}))
        if base is not None:
            faults += combinations.faults(base, dims)
        if isinstance(strategy := fields.get("strategy"), Mapping) and strategy.get("searcher") == "grid":
            faults += _grid_faults(dims)
        if faults:
            raise SweepError(faults)

    @field_validator("objectives")
    @classmethod
    def _columns(cls, objectives: dict[str, str]) -> dict[str, str]:
        return _known_columns(objectives, POINTS)

    @field_validator("constraints")
    @classmethod
    def _bounds(cls, constraints: tuple[str, ...]) -> tuple[str, ...]:
        for text in constraints:
            try:
                column = Constraint.parse(text).column
            except ResultsError as error:
                raise ValueError(str(error)) from None
            _known_columns({column: "min"}, POINTS)
        return constraints

    @cached_property
    def bounds(self) -> tuple[Constraint, ...]:
        """The constraints, parsed."""
        return parse_all(self.constraints)

    @classmethod
    def from_yaml(cls, path: str | Path, overrides: Sequence[str] = ()) -> Sweep:
        """Read a sweep file, with ``PATH=VALUE`` overrides. Error: ``SweepError``, every fault at once."""
        return cls.from_mapping(yaml_text.override(yaml_text.read(path), overrides))

    @classmethod
    def from_mapping(cls, content: Mapping[Any, Any]) -> Sweep:
        """Build a sweep from what a sweep file holds. Error: ``SweepError``, every fault at once."""
        return cls(**{str(key): value for key, value in content.items()})

    @cached_property
    def dimensions(self) -> tuple[Dimension, ...]:
        """What is swept, in the order given."""
        return tuple(_parse_dimensions(self.sweep)[0])

    @property
    def combinations(self) -> int | None:
        """How many different trials the sweep can propose; None: a continuum."""
        sizes = [dimension.size for dimension in self.dimensions]
        return None if None in sizes else math.prod(size for size in sizes if size is not None)

    @property
    def budget(self) -> int:
        """How many trials the sweep asks for in all."""
        wanted = self.strategy.trials
        if self.combinations is None:
            return wanted or 16
        if wanted is None:
            return self.combinations if self.strategy.searcher == "grid" else min(16, self.combinations)
        return min(wanted, self.combinations)

    @property
    def maximize(self) -> list[str]:
        """Objectives of which more is better."""
        return [name for name, sense in self.objectives.items() if sense == "max"]

    @property
    def minimize(self) -> list[str]:
        """Objectives of which less is better."""
        return [name for name, sense in self.objectives.items() if sense == "min"]

    def config(self, assignment: Assignment) -> TrialConfig:
        """Return the configuration of the trial with these values at the swept paths."""
        return combinations.configured(self.trial, assignment)

    def assignment(self, config: Mapping[str, Any]) -> Assignment:
        """Return the values that a trial's configuration, as JSON, has at the swept paths."""
        return {
            d.path: tuple(_at(config, path) for path in d.paths) if len(d.paths) > 1 else _at(config, d.path)
            for d in self.dimensions
        }


def _at(config: Any, path: str) -> Any:
    for part in path.split("."):
        config = config[part]
    return config


def _with_trial_seed(fields: dict[str, Any]) -> dict[str, Any]:
    trial, seed = fields.get("trial", {}), fields.get("seed", 0)
    if isinstance(trial, TrialConfig) and "seed" not in trial.model_fields_set:
        return {**fields, "trial": {**trial.model_dump(), "seed": seed}}
    if isinstance(trial, Mapping) and "seed" not in trial and isinstance(seed, int):
        return {**fields, "trial": {**trial, "seed": seed}}
    return fields


def _parse_dimensions(raw: Any) -> tuple[list[Dimension], list[str]]:
    found, faults = [], []
    for path, value in raw.items() if isinstance(raw, Mapping) else ():
        kind = joint_dimensions if "," in str(path) else dimensions
        dimension, wrong = kind.parse(str(path), value)
        faults += wrong
        if dimension is not None:
            found.append(dimension)
    paths = [path for dimension in found for path in dimension.paths]
    faults += [
        f"`sweep` must not name {path} twice" for path in dict.fromkeys(paths) if paths.count(path) > 1
    ]
    return found, faults


def _trial_faults(raw: Any) -> list[str]:
    """Return what is wrong with a trial once its first faults are out of the way: they hide how its parts fit."""
    try:
        TrialConfig.model_validate({} if raw is None else raw)
    except ValidationError as error:
        return fault_lines(error, TrialConfig, "trial.")
    return []


def _trial_or_none(raw: Any) -> TrialConfig | None:
    try:
        return TrialConfig.model_validate(raw)
    except ValidationError:
        return None


def _grid_faults(dims: Sequence[Dimension]) -> list[str]:
    return [
        f"a grid must have lists or steps, but `sweep.{d.path}` is a range from {d.low} to {d.high}"
        for d in dims
        if isinstance(d, Range) and d.size is None
    ]
