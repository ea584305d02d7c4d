"""A sweep: the configuration of its trials, what varies between them, and the strategy.

``Sweep.from_yaml("sweep.yaml")`` and ``Sweep(name=..., sweep={...})`` check everything that can be checked without
data or a cluster. They raise one :class:`SweepError` with every fault, one line each.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, cast

import pyarrow as pa
from pydantic import Field, ValidationError, field_validator, model_validator

from orchestrator.errors import SweepError
from orchestrator.sweep import (
    architecture_files,
    combinations,
    dimensions,
    joint_dimensions,
    lambda_path,
    yaml_text,
)
from orchestrator.sweep.dimensions import Assignment, Dimension, FieldValue, Range
from orchestrator.sweep.faults import fault_lines, without_faults
from results import ResultsError
from results.errors import nearest
from results.pareto.constraints import Constraint, parse_all
from results.schema import POINTS, PROGRESS, column_of_path
from trials.config import Added, Config, TrialConfig, with_younger_fields
from trials.config.base import Count, CountOrZero

Direction = Literal["max", "min"]


def _columns(objectives: Mapping[str, Direction], schema: pa.Schema) -> dict[str, Direction]:
    """Return objectives by the names of their columns.

    Raises:
        ValueError: a name is no numeric column, or two are the same.
    """
    columns = {column_of_path(name): direction for name, direction in objectives.items()}
    if len(columns) < len(objectives):
        raise ValueError(f"an objective must be named once, but got {', '.join(objectives)}")
    _check_columns(columns, schema)
    return columns


def _check_columns(names: Iterable[str], schema: pa.Schema) -> None:
    numeric = [f.name for f in schema if pa.types.is_floating(f.type) or pa.types.is_integer(f.type)]
    for name in names:
        if name not in numeric:
            raise ValueError(f"there is no numeric column `{name}`{nearest(name, numeric)}")


class HalvingConfig(Config):
    """Multi-objective asynchronous successive halving: trials are compared as they train, and the worse are stopped."""

    first_epochs: Count = 1
    """Epoch of the first comparison, counted over search and training."""
    eta: Annotated[int, Field(ge=2)] = 3
    """Reduction factor: at each comparison the best 1/`eta` of the trials continue. Comparisons are at `first_epochs`,
    `first_epochs` x `eta`, `first_epochs` x `eta`^2, ..."""
    objectives: dict[str, Direction] = Field(
        default={"accuracy": "max", "effective_macs": "min"}, min_length=1
    )
    """Columns of the progress table by which trials are compared, each `max` or `min`. Epochs where one of them was not
    measured are skipped: `effective_macs` is measured in training, `expected_macs` in the search."""

    @field_validator("objectives")
    @classmethod
    def _known_columns(cls, objectives: dict[str, Direction]) -> dict[str, Direction]:
        return _columns(objectives, PROGRESS)


class StrategyConfig(Config):
    """Which trials are proposed, how many, and which are stopped early."""

    searcher: Literal["grid", "random", "nsga2", "tpe"] = "random"
    """`grid`: every combination; `random`: a scrambled Sobol sequence; `nsga2`, `tpe`: Optuna's samplers, over all
    objectives."""
    trials: Count | None = None
    """Number of trials. `null`: every combination for `grid`; for the others 16, or every combination if fewer."""
    population: Annotated[int, Field(ge=2)] = 20
    """`nsga2`: trials per generation. `tpe`: random trials before the first that its model proposes."""
    scheduler: Literal["none", "halving"] = "none"
    """Early stopping of trials: `none`, or `halving` (asynchronous successive halving)."""
    halving: HalvingConfig = HalvingConfig()
    """Settings of the scheduler `halving`."""


class ResourcesConfig(Config):
    """Resources of a trial, and how many trials run at the same time."""

    workers: Count = 1
    """Data-parallel processes of one trial."""
    cpus_per_worker: Annotated[float, Field(ge=0)] = 1.0
    """CPUs reserved for each worker."""
    gpus_per_worker: Annotated[float, Field(ge=0)] = 0.0
    """GPUs reserved for each worker. With a fraction, several workers share a GPU."""
    limit_gpu_memory: bool = False
    """Limit each worker that shares a GPU to its share of the memory: a trial that needs more fails alone, instead of
    the others."""
    max_concurrent: Count | None = None
    """Maximum number of trials that run at the same time. `null`: as many as fit on the cluster."""
    stalled_after_s: Annotated[float, Field(gt=0)] | None = None
    """Seconds without a step after which a trial counts as stalled: its processes are killed, and it is retried.
    `null`: 900, or ten of its longest epochs if that is more. Until its first step it has 900 at least."""

    @field_validator("gpus_per_worker")
    @classmethod
    def _whole_above_one(cls, gpus: float) -> float:
        if gpus > 1 and not gpus.is_integer():
            raise ValueError(f"a worker must reserve whole GPUs or a fraction of one, but got {gpus:g}")
        return gpus

    @property
    def shares_gpus(self) -> bool:
        """Whether several workers share a GPU."""
        return 0 < self.gpus_per_worker < 1

    @model_validator(mode="after")
    def _has_a_share_to_limit(self) -> ResourcesConfig:
        if self.limit_gpu_memory and not self.shares_gpus:
            raise ValueError(
                "`limit_gpu_memory` needs workers that share a GPU, such as gpus_per_worker: 0.25, but got "
                f"gpus_per_worker={self.gpus_per_worker:g}"
            )
        return self

    @model_validator(mode="after")
    def _not_empty(self) -> ResourcesConfig:
        if not self.cpus_per_worker and not self.gpus_per_worker:
            raise ValueError(
                "a worker must reserve a CPU or a GPU, but got cpus_per_worker=0, gpus_per_worker=0"
            )
        return self


class Sweep(Config):
    """A whole sweep, as written in a sweep file."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
    """Name of the sweep: letters, digits, dots, dashes and underscores. The default run directory is `runs/NAME`."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Seed of the searcher, and of every trial unless `trial.seed` is given."""
    objectives: dict[str, Direction] = Field(
        default={"accuracy": "max", "macs": "min", "memory_bytes": "min"}, min_length=1
    )
    """Columns of the points table to optimize, each `max` or `min`."""
    reference: Annotated[dict[str, float], Added(before={})] = Field(default={})
    """Reference point of the hypervolume: for some objectives, the worst value that is still of use, such as
    `accuracy: 0.8`. Objectives that are left out have the worst value among the points, which may decide alone which
    of two fronts has the larger hypervolume."""
    constraints: tuple[str, ...] = ()
    """Bounds on columns of the points table, such as `macs <= 3e8`. Points that violate one are excluded from the
    front. Bounds on `macs`, `flops` and `params` are checked as soon as a trial has found its architecture: one that
    violates them is not trained."""
    trial: TrialConfig = TrialConfig()
    """Configuration that all trials share."""
    sweep: dict[str, object] = Field(min_length=1)
    """What varies between trials: dotted paths into `trial`, each with a list, {low, high} or {choices}. Several paths,
    separated by commas, are swept together: they take a list of lists."""
    strategy: StrategyConfig = StrategyConfig()
    resources: ResourcesConfig = ResourcesConfig()
    retries: CountOrZero = 2
    """Retries of a failed trial before it is given up. The count restarts when an attempt gets further than the one
    before it."""

    def __init__(self, **fields: object) -> None:
        """Validate the fields of a sweep file.

        Raises:
            SweepError: every fault at once.
        """
        fields, faults = architecture_files.read(_with_trial_seed(fields))
        try:
            super().__init__(**fields)
        except ValidationError as error:
            faults += fault_lines(error, Sweep)
            trial = without_faults(fields.get("trial"), error, "trial")
            removed = [str(fault["loc"][-1]) for fault in error.errors() if fault["loc"]]
            faults += [line for line in _trial_faults(trial, removed) if line not in faults]
            fields |= {"trial": trial} if "trial" in fields else {}
        dims, found = _parse_dimensions(fields.get("sweep"))
        faults += found
        base = _trial_or_none(fields.get("trial", {}))
        if base is not None:
            faults += combinations.size_faults(base, dims)
            faults += lambda_path.faults(base, dims)
        if isinstance(strategy := fields.get("strategy"), Mapping) and strategy.get("searcher") == "grid":
            faults += _grid_faults(dims)
        if faults:
            raise SweepError(faults)

    @field_validator("objectives")
    @classmethod
    def _known_columns(cls, objectives: dict[str, Direction]) -> dict[str, Direction]:
        return _columns(objectives, POINTS)

    @model_validator(mode="after")
    def _reference_of_objectives(self) -> Sweep:
        for name in self.reference:
            if name not in self.objectives:
                raise ValueError(
                    f"`reference` must name objectives, but got `{name}`{nearest(name, self.objectives)}"
                )
        return self

    @field_validator("constraints")
    @classmethod
    def _known_bounds(cls, constraints: tuple[str, ...]) -> tuple[str, ...]:
        for text in constraints:
            try:
                column = Constraint.parse(text).column
            except ResultsError as error:
                raise ValueError(str(error)) from None
            _check_columns([column], POINTS)
        return constraints

    @cached_property
    def bounds(self) -> tuple[Constraint, ...]:
        """The constraints, parsed."""
        return parse_all(self.constraints)

    @classmethod
    def from_yaml(cls, path: str | Path, overrides: Sequence[str] = ()) -> Sweep:
        """Read a sweep file, with ``PATH=VALUE`` overrides.

        Raises:
            SweepError: every fault at once.
        """
        return cls.from_mapping(yaml_text.override(yaml_text.read(path), overrides))

    @classmethod
    def from_mapping(cls, content: Mapping[str, object]) -> Sweep:
        """Build a sweep from the content of a sweep file.

        Raises:
            SweepError: every fault at once.
        """
        return cls(**{str(key): value for key, value in content.items()})

    @cached_property
    def dimensions(self) -> tuple[Dimension, ...]:
        """The swept dimensions, in the order given."""
        return tuple(_parse_dimensions(self.sweep)[0])

    @property
    def combinations(self) -> int | None:
        """The number of different trials that the sweep can propose; None if a dimension is continuous."""
        sizes = [dimension.size for dimension in self.dimensions]
        return None if None in sizes else math.prod(size for size in sizes if size is not None)

    @property
    def budget(self) -> int:
        """The total number of trials that the sweep asks for."""
        wanted = self.strategy.trials
        if self.combinations is None:
            return wanted or 16
        if wanted is None:
            return self.combinations if self.strategy.searcher == "grid" else min(16, self.combinations)
        return min(wanted, self.combinations)

    @property
    def maximize(self) -> list[str]:
        """The objectives that are maximized."""
        return [name for name, direction in self.objectives.items() if direction == "max"]

    @property
    def minimize(self) -> list[str]:
        """The objectives that are minimized."""
        return [name for name, direction in self.objectives.items() if direction == "min"]

    def config(self, assignment: Assignment) -> TrialConfig:
        """Return the configuration of the trial with these values at the swept paths."""
        config = combinations.apply_assignment(self.trial, assignment)
        return lambda_path.filled_in(config, self.dimensions)

    def assignment(self, config: Mapping[str, object]) -> Assignment:
        """Return the values at the swept paths of a recorded trial configuration."""
        try:
            return self._swept(config)
        except KeyError:  # a field that is younger than the record
            return self._swept(with_younger_fields(TrialConfig, config))

    @cached_property
    def _names(self) -> dict[str, list[list[str]]]:
        """The names of blocks and field of each path, by dimension."""
        return {d.path: [path.split(".") for path in d.paths] for d in self.dimensions}

    def _swept(self, config: Mapping[str, object]) -> Assignment:
        return {
            dimension: tuple(_at(config, names) for names in paths)
            if len(paths) > 1
            else _at(config, paths[0])
            for dimension, paths in self._names.items()
        }


def _at(config: Mapping[str, object], names: Iterable[str]) -> FieldValue:
    value: object = config
    for name in names:
        value = cast(Mapping[str, object], value)[name]
    return cast(FieldValue, value)


def _with_trial_seed(fields: dict[str, object]) -> dict[str, object]:
    trial, seed = fields.get("trial", {}), fields.get("seed", 0)
    if isinstance(trial, TrialConfig) and "seed" not in trial.model_fields_set:
        return {**fields, "trial": {**trial.model_dump(exclude_unset=True), "seed": seed}}
    if isinstance(trial, Mapping) and "seed" not in trial and isinstance(seed, int):
        return {**fields, "trial": {**trial, "seed": seed}}
    return fields


def _parse_dimensions(raw: object) -> tuple[list[Dimension], list[str]]:
    """Return the valid dimensions of the block ``sweep``, and the faults of the others."""
    found: list[Dimension] = []
    faults: list[str] = []
    for path, value in raw.items() if isinstance(raw, Mapping) else ():
        kind = joint_dimensions if "," in str(path) else dimensions
        dimension, lines = kind.parse(str(path), value)
        faults += lines
        if dimension is not None:
            found.append(dimension)
    paths = [path for dimension in found for path in dimension.paths]
    faults += [
        f"`sweep` must not name {path} twice" for path in dict.fromkeys(paths) if paths.count(path) > 1
    ]
    return found, faults


def _trial_faults(raw: object, removed: Sequence[str]) -> list[str]:
    """Return the faults of a trial whose invalid entries were removed: these had hidden how its parts fit together.

    Rules about a removed entry are left out: it has its default now.
    """
    try:
        TrialConfig.model_validate({} if raw is None else raw)
    except ValidationError as error:
        lines = fault_lines(error, TrialConfig, "trial.")
        return [line for line in lines if not any(f"`{name}`" in line for name in removed)]
    return []


def _trial_or_none(raw: object) -> TrialConfig | None:
    try:
        return TrialConfig.model_validate(raw)
    except ValidationError:
        return None


def _grid_faults(dims: Sequence[Dimension]) -> list[str]:
    return [
        f"a grid must have lists or ranges with a step, but `sweep.{d.path}` is a range from {d.low} to {d.high}"
        for d in dims
        if isinstance(d, Range) and d.size is None
    ]
