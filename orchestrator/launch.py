"""Launch = resume: run what the ledger says is unfinished, then go on to the budget.

The run directory is the record. Ray Tune places gangs, starts and stops them; what it remembers is scratch.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from rich.console import Console

from orchestrator.conductor.capacity import Capacity
from orchestrator.conductor.conductor import Conductor, is_finished
from orchestrator.conductor.lease import Holder, holding, refuse_held
from orchestrator.conductor.monitor import Monitor
from orchestrator.errors import LaunchError
from orchestrator.preflight.placement import held, this_machine
from orchestrator.preflight.plan import make_plan, open_directory
from orchestrator.ray_backend.cluster import living_nodes, ray_session
from orchestrator.status.progress import View, open_view
from orchestrator.sweep.differences import refuse_different
from orchestrator.sweep.sweep import Sweep
from results import LedgerEntry, ResultsError, Run, RunDirectory, open_run, refresh_front

logger = logging.getLogger(__name__)

RUN_TRIAL = "trials.trial:run_trial"
"""The function that runs a trial, ``module:name``: each process imports it for itself."""


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
        return open_run(self.directory)


def launch(
    sweep: Sweep,
    run_dir: str | os.PathLike[str] | None = None,
    *,
    address: str | None = None,
    retry_failed: bool = False,
) -> Run:
    """Run a sweep, or go on with it, and return the run.

    ``run_dir`` is a folder or a URI (default ``runs/NAME``); ``address`` that of a Ray cluster (default: Ray
    is started on this machine for as long as it takes). Failed trials are in ``run.trials()``, with their
    reasons; ``retry_failed`` gives them another chance.

    Errors: ``SweepError``, every fault at once, before anything starts; ``LaunchError`` for a cluster that
    cannot be reached, or storage that stays away.
    """
    console = Console(stderr=True)
    return conduct(sweep, run_dir, address=address, console=console, retry_failed=retry_failed).run


def conduct(
    sweep: Sweep,
    run_dir: str | os.PathLike[str] | None = None,
    *,
    address: str | None = None,
    console: Console | None = None,
    trial: str = RUN_TRIAL,
    retry_failed: bool = False,
) -> Outcome:
    """As ``launch``, and say what it came to. ``trial`` names the function that runs a trial."""
    directory = open_directory(sweep, run_dir)
    check_data = trial == RUN_TRIAL
    address = address or os.environ.get("RAY_ADDRESS") or None
    if address is None:
        make_plan(sweep, directory, this_machine(), check_data=check_data)
    refuse_held(directory)
    if directory.read_sweep() is not None and is_finished(sweep, directory, retry_failed=retry_failed):
        refuse_different(sweep, directory)
        if directory.finished_keys():  # a kill may have come before the last front
            refresh_front(directory, sweep.objectives, constraints=sweep.bounds)
        return _outcome(directory, directory.read_ledger(), complete=True, started=False)
    monitor = Monitor()
    view = open_view(monitor, console)
    try:
        view.say("starting Ray" if address is None else f"connecting to Ray at {address}")
        with ray_session(address) as nodes:
            from orchestrator.ray_backend import nodes as ask  # loads Ray

            make_plan(sweep, directory, nodes, check_data=check_data and address is not None)
            if address is not None:
                ask.check_nodes(sweep, check_data=check_data)
            with _writing(directory, view) as holder:
                _prepare(directory, sweep)
                if address is not None:
                    ask.check_run_directory(directory)
                retrying = directory.retrying(holder.check)
                conductor = Conductor(sweep, retrying, monitor, retry_failed=retry_failed)
                _tune(conductor, directory.retrying(), trial, view)
                return _finish(sweep, directory, conductor)
    finally:
        view.close()


@contextmanager
def _writing(directory: RunDirectory, view: View) -> Iterator[Holder]:
    """Hold the lease on a run directory that can be written to."""
    with ExitStack() as held:
        try:
            directory.make_folders()
            holder = held.enter_context(holding(directory, view.say))
        except OSError as error:
            raise LaunchError(f"the run directory must be writable, but {directory.uri}: {error}") from None
        yield holder


def _prepare(directory: RunDirectory, sweep: Sweep) -> None:
    """Store the sweep, and set aside what is broken."""
    for problem in directory.quarantine_broken():
        logger.warning("%s was set aside: %s", problem.path, problem.reason)
    directory.write_sweep(sweep.model_dump(mode="json"), versions())


def versions() -> dict[str, str]:
    """Return the versions of what decides a result."""
    return {name: metadata.version(name) for name in ("shrinksweep", "torch", "ray", "optuna", "numpy")}


def _tune(conductor: Conductor, directory: RunDirectory, trial: str, view: View) -> None:
    from ray import tune

    from orchestrator.ray_backend import tune_adapters as adapters
    from orchestrator.ray_backend.gang import Job

    sweep = conductor.sweep
    job = Job(directory, sweep.name, sweep.resources, trial, sweep.bounds)
    search = adapters.LedgerSearch(conductor, Capacity(lambda: held(sweep.resources, living_nodes())))
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
            callbacks=[adapters.Housekeeping(conductor, search, view.tick)],
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
        refresh_front(directory, sweep.objectives, constraints=sweep.bounds)
        if complete:
            directory.compact()
    return _outcome(directory, conductor.failed_trials(), complete=complete)


def _outcome(
    directory: RunDirectory, entries: list[LedgerEntry], *, complete: bool, started: bool = True
) -> Outcome:
    failed = [entry for entry in entries if entry.state == "failed"]
    return Outcome(directory, failed, complete, started)
