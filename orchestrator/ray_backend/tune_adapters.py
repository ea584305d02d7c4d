"""What Ray Tune calls; every decision is the conductor's. The only file that subclasses Tune.

An exception in one of these hooks would make Tune blame the trial, so it is kept by the conductor, and the
experiment is stopped. Finished trials are taken out of Tune's memory: it would keep all of them for ever.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from ray import cloudpickle, tune
from ray.exceptions import RayActorError, RayTaskError
from ray.tune import PlacementGroupFactory, Stopper
from ray.tune.experiment import Trial
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from orchestrator.conductor.capacity import Capacity
from orchestrator.conductor.conductor import Conductor
from orchestrator.ray_backend.gang import Job, run_attempt, why_it_died
from orchestrator.ray_backend.tune_private import forget_finished
from results.errors import one_line
from results.storage.ledger import Failure
from trials.errors import InfeasibleError

OUTCOME = "outcome"
"""Key of the last result of an attempt that has come to its end: ``finished``, or ``infeasible`` with a ``reason``."""

Method = TypeVar("Method", bound=Callable[..., Any])


def _guarded(method: Method) -> Method:
    """Hand an exception to the conductor, which ends the launch, instead of to Tune."""

    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except Exception as error:
            self.conductor.abort(error)
            return None

    return cast(Method, call)


def trainable(job: Job) -> Callable[[dict[str, Any]], None]:
    """Return the function that Tune runs for one attempt at a trial."""

    def shrinksweep(config: dict[str, Any]) -> None:
        try:
            run_attempt(job, config["index"], config["config"], _report)
            end = {OUTCOME: "finished"}
        except InfeasibleError as error:  # an answer, no failure: the process goes on with the next trial
            end = {OUTCOME: "infeasible", "reason": str(_cause(error))}
        tune.report(end | {"done": True})  # said in one message: Tune need not ask again

    return shrinksweep


def _report(row: dict[str, Any]) -> None:
    if row.get("phase") != "done":
        tune.report(row)


def placement(job: Job) -> PlacementGroupFactory:
    """Return what Tune reserves for one trial, all of it or nothing."""
    return PlacementGroupFactory(job.bundles(), strategy="PACK")


class LedgerSearch(Searcher):  # type: ignore[misc]
    """Hands the conductor's trials to Tune, and their ends to the conductor."""

    def __init__(self, conductor: Conductor, capacity: Capacity) -> None:
        super().__init__()
        self.conductor = conductor
        self.capacity = capacity
        self.failures: dict[str, Failure] = {}  # why a Tune trial failed: the scheduler hears of it first
        self.places: dict[str, int] = {}  # ledger index of each Tune trial under way
        self.controller: Any = None  # Tune's, as soon as it shows itself

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        entry = self._next()
        if entry is not None:
            self.places[trial_id] = entry.index
            return {"index": entry.index, "config": json.dumps(entry.config)}
        over = self.conductor.done or self.conductor.failure is not None
        return Searcher.FINISHED if over else None

    @_guarded
    def _next(self) -> Any:
        if self.conductor.failure is not None or not self.capacity.has_room(len(self.places)):
            return None
        return self.conductor.next()

    @_guarded
    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        index = self.places.pop(trial_id, None)
        if index is None:
            return
        if error:
            self.conductor.failed(
                index, self.failures.pop(trial_id, Failure(message="the trial left no reason"))
            )
        elif result and result.get(OUTCOME) == "infeasible":
            self.conductor.infeasible(index, result["reason"])
        elif result and result.get(OUTCOME) == "finished":
            self.conductor.succeeded(index)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        pass

    def save(self, checkpoint_path: str) -> None:
        pass  # the run directory is the record

    def restore(self, checkpoint_path: str) -> None:
        pass


class LedgerScheduler(FIFOScheduler):  # type: ignore[misc]
    """First come, first served; hands every epoch to the conductor, which may stop the trial."""

    def __init__(self, conductor: Conductor, search: LedgerSearch) -> None:
        super().__init__()
        self.conductor = conductor
        self._search = search

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        goes_on = self._reported(trial, result)
        return str(TrialScheduler.STOP if goes_on is False else TrialScheduler.CONTINUE)

    @_guarded
    def _reported(self, trial: Trial, result: dict[str, Any]) -> Any:
        index = self._search.places.get(trial.trial_id)
        return True if index is None else self.conductor.reported(index, result)

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        self._search.controller = tune_controller
        tune_controller.update_max_pending_trials(max(1, self._search.capacity.total))  # start all at once

    @_guarded
    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        self._search.failures[trial.trial_id] = failure_of(trial)


class Halt(Stopper):  # type: ignore[misc]
    """Ends the experiment when the launch cannot go on."""

    def __init__(self, conductor: Conductor) -> None:
        self._conductor = conductor

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self._conductor.failure is not None


class Housekeeping(TrialProgressCallback):  # type: ignore[misc]
    """Shows the progress instead of Tune's own callback, which remembers every trial; lets go of what is over."""

    def __init__(self, conductor: Conductor, search: LedgerSearch, tick: Callable[[], None]) -> None:
        super().__init__()
        self.conductor = conductor
        self._search = search
        self._tick = tick

    @_guarded
    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self.conductor.monitor.placed(trial.config["index"])

    def log_result(self, trial: Trial, result: dict[str, Any], error: bool = False) -> None:
        """Say nothing: every epoch is on storage."""

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Say nothing."""

    @_guarded
    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        self._search.capacity.recount()
        self.conductor.keep_front()
        self._tick()
        if self._search.controller is not None:
            forget_finished(self._search.controller)


def failure_of(trial: Trial) -> Failure:
    """Return why a Tune trial failed, as a record for the ledger."""
    try:
        error = _cause(cloudpickle.loads(Path(trial.pickled_error_file).read_bytes()))
    except Exception as unreadable:
        return Failure(message=f"the reason could not be read ({unreadable})")
    if isinstance(error, RayActorError):
        return Failure(kind="ProcessDied", message=f"the process of the trial died: {why_it_died(error)}")
    return Failure(kind=type(error).__name__, message=one_line(error))


def _cause(error: Exception) -> Exception:
    """Return what a trial raised, without what Ray has wrapped around it."""
    return error.cause if isinstance(error, RayTaskError) and error.cause is not None else error
