"""What a launch would do, and everything that speaks against it, before anything starts."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator import combinations
from orchestrator.dimensions import Dimension, Range
from orchestrator.errors import SweepError
from orchestrator.placement import Node, gang_fault, held, placement_notes
from orchestrator.sweep import Sweep
from results import ResultsError, RunDirectory
from search_space.space import SpaceError
from search_space.splitting import SplittingError
from trials.config import LADDER_LISTS, DataConfig


@dataclass(frozen=True)
class Plan:
    """What a launch would do."""

    sweep: Sweep
    trials: int
    """Trials in all."""
    to_run: int
    """Trials that are not finished yet."""
    searches: int
    """Supernet searches in all: trials that differ only in their training share one."""
    rungs: int
    """Points that each trial leaves."""
    epochs: int
    """Epochs still to be computed, roughly: the mean of what is swept."""
    at_a_time: int
    """Trials that fit on the nodes at a time."""
    notes: list[str] = field(default_factory=list)
    """What is worth knowing before the launch."""


def make_plan(
    sweep: Sweep, directory: RunDirectory | None, nodes: Sequence[Node], *, check_data: bool = True
) -> Plan:
    """Check a launch and describe it. Error: ``SweepError`` with every fault at once."""
    faults = [*tap_faults(sweep), *data_faults(sweep)] if check_data else []
    if fault := gang_fault(sweep.resources, nodes):
        faults.append(fault)
    faults += _different(sweep, directory)
    if faults:
        raise SweepError(faults)
    entries = directory.read_ledger() if directory is not None else []
    finished = directory.finished_keys() if directory is not None else set()
    trials = max(sweep.budget, len(entries))
    settled = sum(entry.key in finished or entry.state != "proposed" for entry in entries)
    at_a_time = min(held(sweep.resources, nodes), sweep.resources.max_concurrent or trials)
    to_run, searches = trials - settled, count_searches(sweep, trials)
    of_search, of_training = mean_epochs(sweep)
    return Plan(
        sweep,
        trials=trials,
        to_run=to_run,
        searches=searches,
        rungs=len(sweep.trial.ladder.rungs()),
        epochs=round(min(searches, to_run) * of_search + to_run * of_training),
        at_a_time=at_a_time,
        notes=_notes(sweep, at_a_time) + placement_notes(sweep.resources, nodes),
    )


def describe(plan: Plan) -> list[str]:
    """Return a plan as the lines that a person reads."""
    sweep, resources = plan.sweep, plan.sweep.resources
    finished = plan.trials - plan.to_run
    gang = f"{resources.workers} x ({resources.cpus_per_worker:g} CPU, {resources.gpus_per_worker:g} GPU)"
    objectives = ", ".join(f"{name} {sense}" for name, sense in sweep.objectives.items())
    return [
        f"sweep:      {sweep.name}, {sweep.strategy.searcher} search, seed {sweep.seed}",
        *(f"swept:      {d.path}: {_span(d)}" for d in sweep.dimensions),
        f"trials:     {plan.trials}, of which {finished} are finished"
        if finished
        else f"trials:     {plan.trials}",
        f"searches:   {plan.searches}",
        f"points:     {plan.trials * plan.rungs} ({plan.rungs} for each trial, nothing trained again)",
        f"objectives: {objectives}",
        *(f"constraint: {bound}" for bound in sweep.bounds),
        f"gang:       {gang} a trial, {plan.at_a_time} at a time",
        f"cost:       about {plan.epochs} epochs still to compute",
        *(f"note:       {note}" for note in plan.notes),
    ]


def _span(dimension: Dimension) -> str:
    if isinstance(dimension, Range):
        log = ", log" if dimension.log else ""
        return f"{dimension.low:g} to {dimension.high:g}{log}"
    if len(dimension.paths) > 1:
        return ", ".join(" ".join(map(_shown_value, values)) for values in dimension.choices)
    return ", ".join(map(_shown_value, dimension.choices))


def _shown_value(value: Any) -> str:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, tuple) else str(value)


def _notes(sweep: Sweep, at_a_time: int) -> list[str]:
    notes = []
    if sweep.strategy.searcher in ("nsga2", "tpe") and at_a_time > 1:
        notes.append(
            f"{sweep.strategy.searcher} learns from results as they arrive: with {at_a_time} trials at a "
            "time, the order of arrival decides what is proposed (`resources.max_concurrent: 1` makes it "
            "repeatable)"
        )
    if sweep.strategy.scheduler == "halving" and at_a_time > 1:
        notes.append(
            f"halving compares trials as they arrive: with {at_a_time} at a time, the order of arrival "
            "decides which are stopped (`resources.max_concurrent: 1` makes it repeatable)"
        )
    wanted = sweep.strategy.trials
    if wanted is not None and sweep.combinations is not None and wanted > sweep.combinations:
        notes.append(f"{wanted} trials are asked for, but there are only {sweep.combinations} combinations")
    return notes


def mean_epochs(sweep: Sweep) -> tuple[float, float]:
    """Return the epochs of a trial's search and of its training, the middle of what is swept."""
    middle = combinations.configured(sweep.trial, {d.path: d.at(0.5) for d in sweep.dimensions})
    return middle.search.epochs, middle.train.epochs


def count_searches(sweep: Sweep, trials: int) -> int:
    """Return how many of ``trials`` trials differ in their search (``TrialConfig.search_key``), at most."""
    first = {dimension.path: dimension.at(0.0) for dimension in sweep.dimensions}
    key = combinations.configured(sweep.trial, first).search_key()
    different = 1
    for dimension in sweep.dimensions:
        other = first | {dimension.path: dimension.at(1.0)}
        if combinations.configured(sweep.trial, other).search_key() != key:
            different *= dimension.size or trials
    return min(different, trials)


def open_directory(sweep: Sweep, run_dir: str | os.PathLike[str] | None) -> RunDirectory:
    """Return the run directory of a launch. Error: ``SweepError``."""
    try:
        return RunDirectory(run_dir or Path("runs") / sweep.name)
    except ResultsError as error:
        raise SweepError([str(error)]) from None


# --- data ---


def data_faults(sweep: Sweep) -> list[str]:
    """Return a line for all data that is missing, and for images that a network is too large for."""
    from trials import sources

    lines: list[str] = []
    for data in _data_configs(sweep):
        try:
            sources.locate(data)
            shape = sources.image_shape(data)
        except (ValueError, OSError) as error:
            lines.append(" ".join(str(error).split()))
            continue
        lines += _shape_faults(sweep, shape)
    return list(dict.fromkeys(lines))


def _data_configs(sweep: Sweep) -> list[DataConfig]:
    found = [combinations.configured(sweep.trial, a).data for a in _swept(sweep, ("data.",))]
    return list(
        {data.model_dump_json(include={"name", "path", "image_size"}): data for data in found}.values()
    )


def _swept(sweep: Sweep, prefixes: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    dims = [d for d in sweep.dimensions if any(path.startswith(prefixes) for path in d.paths)]
    for values in itertools.islice(itertools.product(*map(_ends, dims)), 10_000):
        yield {d.path: value for d, value in zip(dims, values, strict=True)}


def _ends(dimension: Dimension) -> list[Any]:
    if dimension.size is not None and dimension.size <= 100:
        return [dimension.value(i) for i in range(dimension.size)]
    return [dimension.at(0.0), dimension.at(1.0)]


def _shape_faults(sweep: Sweep, shape: tuple[int, int, int]) -> list[str]:
    sizes = ("space.name", "space.cells", "space.patch_size", "train.cells")
    for assignment in _swept(sweep, sizes):
        config = combinations.configured(sweep.trial, assignment)
        try:
            config.check_images(shape)
        except (SpaceError, SplittingError) as error:
            return [str(error)]
    return []


# --- feature maps ---


def tap_faults(sweep: Sweep) -> list[str]:
    """Return a line for the first pattern that stands for no feature map. Loads torch only where there are patterns."""
    fields = ("feature_maps.", "space.", "search.algorithm", "train.cells")
    for assignment in _swept(sweep, fields):
        config = combinations.configured(sweep.trial, assignment)
        if config.feature_maps.taps == ("*",):
            continue
        from trials.tap_patterns import TapError, check_taps

        try:
            check_taps(config)
        except TapError as error:
            return [str(error)]
    return []


# --- the run directory of another sweep ---


def refuse_different(sweep: Sweep, directory: RunDirectory) -> None:
    """Check that a run directory is that of this sweep. Error: ``SweepError``."""
    if faults := _different(sweep, directory):
        raise SweepError(faults)


def _different(sweep: Sweep, directory: RunDirectory | None) -> list[str]:
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
