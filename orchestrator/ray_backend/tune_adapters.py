"""The classes and functions that Ray Tune calls. Every decision is the conductor's.

Tune would blame a trial for an exception in one of these hooks. So the conductor gets the exception (``_guarded``), and
``Halt`` ends the experiment. Finished trials are removed from Tune's memory, which would keep all of them.
"""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypedDict, TypeVar, cast

from ray import cloudpickle, tune
from ray.exceptions import RayActorError, RayTaskError
from ray.tune import PlacementGroupFactory, Stopper
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher
from typing_extensions import override

from orchestrator.conductor.capacity import Capacity
from orchestrator.conductor.conductor import Conductor
from orchestrator.ray_backend.gang import run_attempt, why_it_died
from orchestrator.ray_backend.job import WAITING, Job
from orchestrator.ray_backend.tune_private import forget_finished, next_to_start
from results import LedgerEntry
from results.errors import one_line
from results.record_types import JsonObject
from results.storage.ledger import Failure
from trials.errors import InfeasibleError

OUTCOME = "outcome"
"""Key of an attempt's last result: ``finished``, or ``infeasible`` together with a ``reason``."""


class Attempt(TypedDict):
    """What Tune calls the configuration of a trial."""

    index: int
    """Ledger index of the trial."""
    config: str
    """Its ``TrialConfig``, as JSON."""
    number: int
    """Grows with every attempt of the launch."""


class _Hooks(Protocol):
    conductor: Conductor


Method = TypeVar("Method", bound=Callable[..., object])


def _guarded(method: Method) -> Method:
    """Make a hook pass its exceptions to the conductor, which ends the launch, and return None to Tune."""

    @functools.wraps(method)
    def call(self: _Hooks, *args: object, **kwargs: object) -> object:
        try:
            return method(self, *args, **kwargs)
        except Exception as error:
            self.conductor.abort(error)
            return None

    return cast(Method, call)


def trainable(job: Job) -> Callable[[Attempt], None]:
    """Return the function that Tune runs for one attempt at a trial."""

    def shrinksweep(attempt: Attempt) -> None:
        directory = job.directory.of_attempt(attempt["index"], attempt["number"])
        try:
            run_attempt(replace(job, directory=directory), attempt["index"], attempt["config"], _report)
            end = {OUTCOME: "finished"}
        except InfeasibleError as error:  # a result, not a failure: this process can run the next trial
            end = {OUTCOME: "infeasible", "reason": str(_cause(error))}
        tune.report(end | {"done": True})  # in one message, so that Tune need not ask again

    return shrinksweep


def _report(row: JsonObject) -> None:
    if row.get("phase") != "done":
        tune.report(row)


def placement(job: Job) -> PlacementGroupFactory:
    """Return the resources that Tune reserves for one trial, all of them or none."""
    return PlacementGroupFactory(job.bundles(), strategy="PACK")


class _NotSaved:
    """A hook of which Tune's snapshots hold nothing: they are never read, and a run may have secrets in its URI."""

    def __reduce__(self) -> tuple[type[object], tuple[()]]:
        return object, ()


class LedgerSearch(_NotSaved, Searcher):  # type: ignore[misc]
    """Passes the conductor's trials to Tune, and their outcomes back to the conductor."""

    def __init__(self, conductor: Conductor, capacity: Capacity) -> None:
        super().__init__()
        self.conductor = conductor
        self.capacity = capacity
        self.failures: dict[str, Failure] = {}
        """Why a Tune trial failed, by its id. Filled by the scheduler: Tune does not tell a searcher the error."""
        self.indices: dict[str, int] = {}
        """Ledger index of each running Tune trial, by its id."""
        self._numbers = itertools.count(1)
        self._number_of: dict[str, int] = {}
        self.controller: TuneController | None = None
        """Tune's controller, known once it has added a trial."""

    @override
    def suggest(self, trial_id: str) -> Attempt | str | None:
        entry = self._next(trial_id)
        if entry is not None:
            self.indices[trial_id] = entry.index
            config = json.dumps(entry.config)
            return {"index": entry.index, "config": config, "number": self._number_of[trial_id]}
        over = self.conductor.done or self.conductor.failure is not None
        return str(Searcher.FINISHED) if over else None

    @_guarded
    def _next(self, trial_id: str) -> LedgerEntry | None:
        if self.conductor.failure is not None or not self.capacity.has_room(len(self.indices)):
            return None
        entry = self.conductor.next()
        if entry is not None:
            self._number_of[trial_id] = next(self._numbers)
            self.conductor.directory.open_attempt(entry.index, self._number_of[trial_id])
        return entry

    @override
    @_guarded
    def on_trial_complete(self, trial_id: str, result: JsonObject | None = None, error: bool = False) -> None:
        index = self.indices.pop(trial_id, None)
        if index is None:
            return
        self.conductor.directory.close_attempt(index, self._number_of.pop(trial_id))
        if error and self.conductor.failure is not None:
            return  # the launch ends, and the trial goes on in the next one
        if error:
            failure = self.failures.pop(trial_id, Failure(message="the trial left no reason"))
            self.conductor.failed(index, failure)
        elif result and result.get(OUTCOME) == "infeasible":
            self.conductor.infeasible(index, result["reason"])
        elif result and result.get(OUTCOME) == "finished":
            self.conductor.succeeded(index)

    @override
    def on_trial_result(self, trial_id: str, result: JsonObject) -> None:
        pass  # the scheduler hears of every epoch

    @override
    def save(self, checkpoint_path: str) -> None:
        pass  # the run directory is the record

    @override
    def restore(self, checkpoint_path: str) -> None:
        pass


class LedgerScheduler(_NotSaved, FIFOScheduler):  # type: ignore[misc]
    """Starts trials in the order of the ledger. Passes every epoch to the conductor, which may stop the trial."""

    def __init__(self, conductor: Conductor, search: LedgerSearch) -> None:
        super().__init__()
        self.conductor = conductor
        self._search = search

    @override
    def on_trial_result(self, tune_controller: TuneController, trial: Trial, result: JsonObject) -> str:
        stop = self._continues(trial, result) is False  # None: an exception, and ``Halt`` ends everything
        return str(TrialScheduler.STOP if stop else TrialScheduler.CONTINUE)

    @_guarded
    def _continues(self, trial: Trial, result: JsonObject) -> bool | None:
        index = self._search.indices.get(trial.trial_id)
        if index is not None and WAITING in result:
            self.conductor.monitor.waits(index, str(result[WAITING]))
            return True
        return index is None or self.conductor.reported(index, result)

    @override
    def choose_trial_to_run(self, tune_controller: TuneController) -> Trial | None:
        controller = self._search.controller
        return None if controller is None else next_to_start(controller)

    @override
    def on_trial_add(self, tune_controller: TuneController, trial: Trial) -> None:
        self._search.controller = tune_controller
        tune_controller.update_max_pending_trials(max(1, self._search.capacity.total))  # start all at once

    @override
    @_guarded
    def on_trial_error(self, tune_controller: TuneController, trial: Trial) -> None:
        self._search.failures[trial.trial_id] = failure_of(trial)


class Halt(_NotSaved, Stopper):  # type: ignore[misc]
    """Ends the experiment when the conductor has given up."""

    def __init__(self, conductor: Conductor) -> None:
        self._conductor = conductor

    @override
    def __call__(self, trial_id: str, result: JsonObject) -> bool:
        return False

    @override
    def stop_all(self) -> bool:
        return self._conductor.failure is not None


class Housekeeping(_NotSaved, TrialProgressCallback):  # type: ignore[misc]
    """Does what has to be done often, and removes finished trials from Tune's memory.

    Tune adds a ``TrialProgressCallback`` of its own unless there is one. That one would keep every trial.

    Args:
        conductor: the course of the launch.
        search: Tune's trials.
        often: called several times a second; an exception ends the launch.
    """

    def __init__(self, conductor: Conductor, search: LedgerSearch, *often: Callable[[], None]) -> None:
        super().__init__()
        self.conductor = conductor
        self._search = search
        self._often = often

    @override
    @_guarded
    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: object) -> None:
        self.conductor.placed(trial.config["index"])

    @override
    def log_result(self, trial: Trial, result: JsonObject, error: bool = False) -> None:
        pass  # every epoch is on storage

    @override
    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: object) -> None:
        pass

    @override
    @_guarded
    def on_step_end(self, iteration: int, trials: list[Trial], **info: object) -> None:
        for do in self._often:
            do()
        self._search.capacity.recount()
        self.conductor.keep_front()
        if self._search.controller is not None:
            forget_finished(self._search.controller)


def failure_of(trial: Trial) -> Failure:
    """Return why a Tune trial failed, as the ledger records it."""
    try:
        error = _cause(cloudpickle.loads(Path(trial.pickled_error_file).read_bytes()))
    except Exception as unreadable:
        return Failure(message=f"the reason could not be read ({unreadable})")
    if isinstance(error, RayActorError):
        return Failure(kind="ProcessDied", message=f"the process of the trial died: {why_it_died(error)}")
    return Failure(kind=type(error).__name__, message=one_line(error))


def _cause(error: Exception) -> Exception:
    """Return what a trial raised, without Ray's wrapper."""
    return error.cause if isinstance(error, RayTaskError) and error.cause is not None else error
