"""The plan of a launch: what it would do, and every reason why it cannot start."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pyarrow.compute as pc

from orchestrator.errors import SweepError
from orchestrator.preflight.checks import (
    ConstraintCheck,
    assignments,
    check_constraints,
    tap_faults,
    unmeasured_faults,
)
from orchestrator.preflight.data_checks import DataCheck, changed_data, unknown_data
from orchestrator.preflight.data_checks import check_data as find_data
from orchestrator.preflight.placement import Node, gang_capacity, gang_fault, placement_notes
from orchestrator.schedulers.early_stopping import compared_epochs
from orchestrator.sweep.combinations import apply_assignment
from orchestrator.sweep.differences import difference_faults
from orchestrator.sweep.dimensions import Dimension, FieldValue, Range
from orchestrator.sweep.sweep import Sweep
from results import LedgerEntry, ResultsError, RunDirectory
from results.durations import format_duration
from results.states import SETTLED
from results.tables.evidence import Evidence
from trials.config import TrialConfig


@dataclass(frozen=True)
class Plan:
    """What a launch would do."""

    sweep: Sweep
    trials: int
    """Trials in total."""
    to_run: int
    """Trials that are not finished yet."""
    searches: int
    """Supernet searches in total: trials that differ only in training share one."""
    trainings: int
    """Trainings in total: trials that differ only in fine-tuning share one."""
    rungs: int
    """Points of each trial."""
    epochs: int
    """Estimated epochs that remain, from the middle of the swept ranges."""
    at_a_time: int
    """Trials that fit on the nodes at the same time."""
    seconds: float | None = None
    """Estimated time that remains, by the finished trials of the run; None if there is none."""
    notes: list[str] = field(default_factory=list)
    """Remarks that are worth reading before the launch."""
    fingerprints: dict[str, str] = field(default_factory=dict)
    """Digest of images and labels by name of the data set, as far as they are on disk."""


def make_plan(
    sweep: Sweep, directory: RunDirectory | None, nodes: Sequence[Node], *, check_data: bool = True
) -> Plan:
    """Check a launch and plan it.

    Args:
        sweep: the sweep.
        directory: the run directory, which may hold an earlier launch; None: none yet.
        nodes: the cluster.
        check_data: whether to check the data and the networks, too.

    Raises:
        SweepError: every fault at once.
    """
    data = find_data(sweep) if check_data else DataCheck()
    faults = [
        *([*unmeasured_faults(sweep), *tap_faults(sweep)] if check_data else []),
        *data.faults,
        *changed_data(directory, data.fingerprints),
    ]
    if fault := gang_fault(sweep.resources, nodes):
        faults.append(fault)
    faults += difference_faults(sweep, directory)
    constraints = check_constraints(sweep) if check_data and not faults else ConstraintCheck()
    faults += constraints.faults
    if faults:
        raise SweepError(faults)
    entries = directory.read_ledger() if directory is not None else []
    trials = max(sweep.budget, len(entries))
    to_run = trials - _settled(sweep, directory, entries)
    searches = count_searches(sweep, trials)
    trainings = _count(sweep, trials, lambda config: config.stages()[0].trial_key())
    at_a_time = min(gang_capacity(sweep.resources, nodes), sweep.resources.max_concurrent or trials)
    middle = _middle(sweep)
    epochs = min(searches, to_run) * middle.search_epochs + min(trainings, to_run) * middle.train.epochs
    return Plan(
        sweep,
        trials=trials,
        to_run=to_run,
        searches=searches,
        trainings=trainings,
        rungs=len(sweep.trial.ladder.rungs()),
        epochs=epochs + to_run * middle.finetune.epochs,
        at_a_time=at_a_time,
        seconds=_seconds(directory, min(searches, to_run), to_run, at_a_time),
        notes=[
            *data.notes,
            *unknown_data(directory, data.fingerprints),
            *_strategy_notes(sweep, at_a_time),
            *placement_notes(sweep.resources, nodes),
            *constraints.notes,
        ],
        fingerprints=data.fingerprints,
    )


def _seconds(directory: RunDirectory | None, searches: int, to_run: int, at_a_time: int) -> float | None:
    """Return the time that remains, if the trials take as long as the finished ones; None if none has finished."""
    if directory is None or not to_run:
        return None
    table = directory.read_points(columns=["search_s", "train_s", "ladder_s"])
    if not table.num_rows:
        return None
    search, training, ladder = (float(pc.mean(column).as_py()) for column in table.itercolumns())
    return (searches * search + to_run * (training + ladder)) / max(1, at_a_time)


def _settled(sweep: Sweep, directory: RunDirectory | None, entries: Sequence[LedgerEntry]) -> int:
    if directory is None or not entries:
        return 0
    evidence = Evidence.of(directory.read_points(columns=["trial_key", *sweep.objectives]), sweep.objectives)
    return sum(evidence.state(entry) in SETTLED for entry in entries)


def describe(plan: Plan) -> list[str]:
    """Return a plan as lines of text."""
    sweep, resources = plan.sweep, plan.sweep.resources
    finished = plan.trials - plan.to_run
    gang = f"{resources.workers} x ({resources.cpus_per_worker:g} CPU, {resources.gpus_per_worker:g} GPU)"
    objectives = ", ".join(f"{name} {direction}" for name, direction in sweep.objectives.items())
    return [
        f"sweep:      {sweep.name}, {sweep.strategy.searcher} search, seed {sweep.seed}",
        *(f"swept:      {d.path}: {_span(d)}" for d in sweep.dimensions),
        f"trials:     {plan.trials}, of which {finished} are finished"
        if finished
        else f"trials:     {plan.trials}",
        f"searches:   {plan.searches}",
        *([f"trainings:  {plan.trainings}, with a fine-tuning for each trial"] if _finetunes(sweep) else []),
        f"points:     {plan.trials * plan.rungs} ({plan.rungs} for each trial, no retraining)",
        f"objectives: {objectives}",
        *(f"constraint: {bound}" for bound in sweep.bounds),
        f"gang:       {gang} a trial, {plan.at_a_time} at a time",
        f"cost:       about {plan.epochs} epochs still to compute{_time(plan)}",
        *(f"note:       {note}" for note in plan.notes),
    ]


def _time(plan: Plan) -> str:
    if plan.seconds is None:
        return ""
    return f", {format_duration(plan.seconds)} if trials take as long as those that have finished"


def _span(dimension: Dimension) -> str:
    if isinstance(dimension, Range):
        log = ", log" if dimension.log else ""
        return f"{dimension.low:g} to {dimension.high:g}{log}"
    if len(dimension.paths) > 1:
        rows = cast(tuple[tuple[FieldValue, ...], ...], dimension.choices)
        return ", ".join(" ".join(map(_shown, row)) for row in rows)
    return ", ".join(map(_shown, dimension.choices))


def _shown(value: FieldValue) -> str:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, tuple) else str(value)


def _strategy_notes(sweep: Sweep, at_a_time: int) -> list[str]:
    notes = list(dict.fromkeys(_warmup_notes(sweep)))
    if sweep.strategy.searcher in ("nsga2", "tpe") and at_a_time > 1:
        notes.append(
            f"{sweep.strategy.searcher} learns from results as they arrive: with {at_a_time} trials at a "
            "time, the order of arrival decides what is proposed (`resources.max_concurrent: 1` makes it "
            "repeatable)"
        )
    if sweep.strategy.scheduler == "halving":
        notes.append(_halving_note(sweep))
    if sweep.strategy.scheduler == "halving" and at_a_time > 1:
        notes.append(
            f"halving compares trials as they arrive: with {at_a_time} at a time, the order of arrival "
            "decides which are stopped (`resources.max_concurrent: 1` makes it repeatable)"
        )
    wanted = sweep.strategy.trials
    if wanted is not None and sweep.combinations is not None and wanted > sweep.combinations:
        notes.append(f"{wanted} trials are requested, but there are only {sweep.combinations} combinations")
    return notes


def _warmup_notes(sweep: Sweep) -> Iterator[str]:
    for assignment in assignments(sweep, ("search.",)):
        config = apply_assignment(sweep.trial, assignment)
        search = config.search
        if config.search_epochs and search.alpha_warmup_epochs >= search.epochs:
            yield (
                f"`search.alpha_warmup_epochs` is {search.alpha_warmup_epochs}, and the search has {search.epochs} "
                "epochs: no alpha ever moves, and the architecture is random"
            )


def _halving_note(sweep: Sweep) -> str:
    search, training = map(round, mean_epochs(sweep))
    phases = [f"training: {search + 1} to {search + training}"]
    phases = [f"search: 1 to {search}", *phases] if search else phases
    if epochs := compared_epochs(sweep, search, training):
        return f"halving compares after epoch {', '.join(map(str, epochs))} ({', '.join(phases)})"
    halving = sweep.strategy.halving
    return (
        f"halving never compares, and stops nothing: {' and '.join(halving.objectives)} are not measured at any of its "
        f"epochs, {halving.first_epochs}, times {halving.eta}, ... ({', '.join(phases)})"
    )


def mean_epochs(sweep: Sweep) -> tuple[float, float]:
    """Return the epochs of a trial's search and of all that follows it, in the middle of the swept ranges."""
    middle = _middle(sweep)
    return middle.search_epochs, middle.epochs - middle.search_epochs


def _middle(sweep: Sweep) -> TrialConfig:
    """Return the trial in the middle of the swept ranges."""
    return apply_assignment(sweep.trial, {d.path: d.at(0.5) for d in sweep.dimensions})


def _finetunes(sweep: Sweep) -> bool:
    return any(
        apply_assignment(sweep.trial, assignment).finetune.epochs
        for assignment in assignments(sweep, ("finetune.epochs",))
    )


def count_searches(sweep: Sweep, trials: int) -> int:
    """Return the number of different searches (``TrialConfig.search_key``) among ``trials`` trials, at most."""
    fields = ("search.algorithm", "search.genotype", "search.epochs")
    if not any(apply_assignment(sweep.trial, each).search_epochs for each in assignments(sweep, fields)):
        return 0
    return _count(sweep, trials, TrialConfig.search_key)


def _count(sweep: Sweep, trials: int, key_of: Callable[[TrialConfig], str]) -> int:
    """Return the number of different keys among ``trials`` trials, at most."""
    first = {dimension.path: dimension.at(0.0) for dimension in sweep.dimensions}
    key, count = key_of(apply_assignment(sweep.trial, first)), 1
    for dimension in sweep.dimensions:
        other = first | {dimension.path: dimension.at(1.0)}
        if key_of(apply_assignment(sweep.trial, other)) != key:
            count *= dimension.size or trials
    return min(count, trials)


def open_directory(sweep: Sweep, run_dir: str | os.PathLike[str] | None) -> RunDirectory:
    """Return the run directory of a launch; by default ``runs/NAME``.

    Raises:
        SweepError: there can be no run directory at this path or URI.
    """
    try:
        return RunDirectory(run_dir or Path("runs") / sweep.name)
    except ResultsError as error:
        raise SweepError([str(error)]) from None
