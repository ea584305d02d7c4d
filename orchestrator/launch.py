"""Launch = resume: run what the ledger says is unfinished, then go on to the budget.

The run directory is the record. Ray Tune places gangs, starts and stops them; what it remembers is scratch.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console

from orchestrator.conductor import Conductor, is_finished
from orchestrator.errors import LaunchError, SweepError
from orchestrator.gang import RUN_TRIAL, Job
from orchestrator.monitor import Monitor
from orchestrator.plan import Node, make_plan, refuse_different, this_machine
from orchestrator.progress import View, open_view
from orchestrator.sweep import Sweep
from results import LedgerEntry, ResultsError, Run, RunDirectory, open_run, refresh_front

logger = logging.getLogger(__name__)

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # the other output cannot be silenced
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths of a sweep mean what they mean to its user
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",  # nobody reads Tune's snapshots
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "60",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
"""What Ray and Tune are told before they start; what the user has set stays."""

OBJECT_STORE_BYTES = 200 * 2**20


@dataclass(frozen=True)
class Outcome:
    """What a launch came to."""

    directory: RunDirectory
    failed: list[LedgerEntry]
    """Trials given up, with their reasons."""
    complete: bool
    """False when the launch was interrupted: launching again goes on."""
    started: bool = True
    """False when there was nothing left to do."""

    @property
    def run(self) -> Run:
        """The run, to be read."""
        return open_run(self.directory.uri)


def launch(sweep: Sweep, run_dir: str | os.PathLike[str] | None = None, *, address: str | None = None) -> Run:
    """Run a sweep, or go on with it, and return the run.

    ``run_dir`` is a folder or a URI (default ``runs/NAME``); ``address`` that of a Ray cluster (default: Ray
    is started on this machine for as long as it takes). Failed trials are in ``run.trials()``, with their
    reasons.

    Errors: ``SweepError``, every fault at once, before anything starts; ``LaunchError`` for a cluster that
    cannot be reached, or storage that stays away.
    """
    return conduct(sweep, run_dir, address=address, console=Console(stderr=True)).run


def conduct(
    sweep: Sweep,
    run_dir: str | os.PathLike[str] | None = None,
    *,
    address: str | None = None,
    console: Console | None = None,
    trial: str = RUN_TRIAL,
) -> Outcome:
    """As ``launch``, and say what it came to. ``trial`` names the function that runs a trial."""
    directory = open_directory(sweep, run_dir)
    check_data = trial == RUN_TRIAL
    address = address or os.environ.get("RAY_ADDRESS") or None
    if address is None:
        make_plan(sweep, directory, this_machine(), check_data=check_data)
    if directory.exists() and is_finished(sweep, directory.read_ledger(), directory.finished_keys()):
        refuse_different(sweep, directory)
        return _outcome(directory, directory.read_ledger(), complete=True, started=False)
    monitor = Monitor()
    view = open_view(monitor, console)
    try:
        view.say("starting Ray" if address is None else f"connecting to Ray at {address}")
        with ray_session(address) as nodes:
            make_plan(sweep, directory, nodes, check_data=check_data and address is not None)
            _prepare(directory, sweep)
            conductor = Conductor(sweep, directory, monitor)
            _tune(Job(directory, sweep.name, sweep.resources, trial), conductor, view)
    finally:
        view.close()
    return _finish(sweep, directory, conductor)


def open_directory(sweep: Sweep, run_dir: str | os.PathLike[str] | None) -> RunDirectory:
    """Return the run directory of a launch. Error: ``SweepError``."""
    try:
        return RunDirectory(run_dir or Path("runs") / sweep.name)
    except ResultsError as error:
        raise SweepError([str(error)]) from None


def _prepare(directory: RunDirectory, sweep: Sweep) -> None:
    try:
        RunDirectory(directory.uri, create=True)
        directory.write_sweep(sweep.model_dump(mode="json"), versions())
    except OSError as error:
        raise LaunchError(f"the run directory must be writable, but {directory.uri}: {error}") from None
    for problem in directory.set_aside():
        logger.warning("%s was set aside: %s", problem.path, problem.reason)


def versions() -> dict[str, str]:
    """Return the versions of what decides a result."""
    return {name: metadata.version(name) for name in ("shrinksweep", "torch", "ray", "optuna", "numpy")}


def _tune(job: Job, conductor: Conductor, view: View) -> None:
    from ray import tune

    from orchestrator import tune_adapters as adapters

    search = adapters.LedgerSearch(conductor)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # failures are the conductor's to tell
    with _scratch(job.directory) as scratch:
        tune.run(
            adapters.trainable(job),
            name="tune",
            storage_path=str(scratch),
            resources_per_trial=adapters.placement(job),
            num_samples=-1,
            search_alg=search,
            scheduler=adapters.LedgerScheduler(conductor, search),
            stop=adapters.Halt(conductor),
            callbacks=[adapters.Housekeeping(conductor, view.tick)],
            reuse_actors=True,
            raise_on_failed_trial=False,
            verbose=0,
            log_to_file=False,
            trial_dirname_creator=lambda trial: str(trial.trial_id),
        )
    if conductor.failure is not None:
        failure = conductor.failure
        if isinstance(failure, OSError):
            raise LaunchError(f"storage must take what is written, but {failure}; launch again") from failure
        raise failure


@contextmanager
def _scratch(directory: RunDirectory) -> Iterator[Path]:
    """Give Tune a fresh folder for what nobody reads."""
    try:
        parent = directory.scratch
        parent.mkdir(parents=True, exist_ok=True)
    except ResultsError:  # a remote run directory
        parent = Path(tempfile.gettempdir())
    with tempfile.TemporaryDirectory(dir=parent, prefix="tune-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _finish(sweep: Sweep, directory: RunDirectory, conductor: Conductor) -> Outcome:
    complete = conductor.done
    if directory.finished_keys():
        refresh_front(directory, sweep.objectives)
        if complete:
            directory.compact()
    return _outcome(directory, conductor.failed_trials(), complete=complete)


def _outcome(
    directory: RunDirectory, entries: list[LedgerEntry], *, complete: bool, started: bool = True
) -> Outcome:
    failed = [entry for entry in entries if entry.state == "failed"]
    return Outcome(directory, failed, complete, started)


@contextmanager
def ray_session(address: str | None) -> Iterator[list[Node]]:
    """Yield the nodes of a Ray: the one that runs in this process already, that at ``address``, or a new one.

    What was started here is ended here.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import ray

    if ray.is_initialized():
        yield _nodes(ray)
        return
    options: dict[str, Any] = {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
    if address is not None:
        options = {"runtime_env": {"env_vars": ENVIRONMENT}}
    try:
        ray.init(address=address or "local", log_to_driver=False, logging_level="error", **options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise LaunchError(f"Ray must be reachable at {address or 'local'}, but {_one_line(error)}") from None
    try:
        yield _nodes(ray)
    finally:
        ray.shutdown()


def _nodes(ray: Any) -> list[Node]:
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:500]
