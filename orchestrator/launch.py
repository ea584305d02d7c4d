"""Launch = resume.

A launch keeps no state of its own: everything that must survive it is in the run directory. There is one ledger entry
for every trial that was proposed, written before the trial starts, and a points file for every trial that has
finished. So each launch does the same:

1. Check the sweep (``make_plan``). If every trial has finished, stop here.
2. Start Ray or connect to it, and take the lease on the run directory: one launch writes at a time.
3. Read the ledger. Run the entries that have not finished, each from its last checkpoint; then propose new trials up to
   the number that the sweep asks for. The ``Conductor`` decides; Ray Tune only starts and stops the trials.
4. Write the front, and compact the points.

In an empty directory that is a first launch, after a kill a resume. Tune's own experiment state is never read.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import Console

from orchestrator.conductor.capacity import Capacity
from orchestrator.conductor.conductor import Conductor, is_finished
from orchestrator.conductor.lease import Holder, holding, refuse_held, shows_life
from orchestrator.conductor.monitor import Monitor
from orchestrator.conductor.standing import Standing
from orchestrator.conductor.versions import changes, installed_versions, with_history
from orchestrator.errors import LaunchError
from orchestrator.preflight.data_checks import recorded_fingerprints, refuse_changed_data
from orchestrator.preflight.gpu_checks import installed_gpus, refuse_unfit_gpus, refuse_unfit_gpus_here
from orchestrator.preflight.gpu_sharing import mps_runs, sharing_note
from orchestrator.preflight.placement import gang_capacity, this_machine
from orchestrator.preflight.plan import Plan, make_plan, open_directory
from orchestrator.ray_backend.cluster import living_nodes, ray_session
from orchestrator.ray_backend.interruption import InterruptedLaunchError, listening
from orchestrator.status.opening import open_view
from orchestrator.status.views import View
from orchestrator.sweep.differences import in_terms_of_run, refuse_different
from orchestrator.sweep.sweep import Sweep
from results import LedgerEntry, LostLeaseError, Run, RunDirectory, open_run, refresh_front

logger = logging.getLogger(__name__)

RUN_TRIAL = "trials.trial:run_trial"
"""The function that runs a trial, as ``module:name``: every process of the sweep imports it itself."""


@dataclass(frozen=True)
class Outcome:
    """The result of a launch."""

    directory: RunDirectory
    failed: list[LedgerEntry]
    """Trials that were given up, with their reasons."""
    complete: bool
    """False if the launch was interrupted; the next launch resumes it."""
    started: bool = True
    """False if all trials had finished before."""

    @property
    def run(self) -> Run:
        """The run, for reading."""
        return open_run(self.directory)


def launch(
    sweep: Sweep | str | os.PathLike[str],
    run_dir: str | os.PathLike[str] | None = None,
    *,
    address: str | None = None,
    retry_failed: bool = False,
) -> Run:
    """Run a sweep, or resume it, and return the run.

    A trial that fails does not end the launch: ``run.trials()`` has its state and the reason.

    Args:
        sweep: what to run, or the path of its file. To resume a run it must be the sweep of that run; other
            resources, another number of trials or retries, and more values in its lists are allowed.
        run_dir: the run directory, a folder or a URI such as ``s3://bucket/runs/digits``. Default: ``runs/NAME``.
        address: the Ray cluster, ``auto`` or ``host:port``. Default: the environment variable ``RAY_ADDRESS``, or else
            Ray is started on this machine and ended with the launch.
        retry_failed: run the trials again that earlier launches gave up.

    Raises:
        SweepError: the sweep cannot run here; holds every fault. Nothing has started.
        LaunchError: another launch holds the run directory, the cluster cannot be reached, or storage stays away.
    """
    console = Console(stderr=True)
    sweep = sweep if isinstance(sweep, Sweep) else Sweep.from_yaml(os.fspath(sweep))
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
    """Do what ``launch`` does, with any function that runs a trial, and return the outcome.

    ``console`` shows the progress (None: nothing); ``trial`` is ``module:name``.
    """
    directory = open_directory(sweep, run_dir)
    sweep = in_terms_of_run(sweep, directory)
    check_data = trial == RUN_TRIAL
    address = address or os.environ.get("RAY_ADDRESS") or None
    data: dict[str, str] = {}
    if address is None:
        plan = make_plan(sweep, directory, this_machine(), check_data=check_data)
        data = _announced(plan, console)
        refuse_unfit_gpus_here(sweep)
    refuse_held(directory)
    if directory.read_sweep() is not None and is_finished(sweep, directory, retry_failed=retry_failed):
        return _nothing_to_run(sweep, directory)
    monitor = Monitor()
    view = open_view(monitor, console)
    try:
        view.say("starting Ray" if address is None else f"connecting to Ray at {address}")
        with (
            listening(view.warn),  # Ray replaces a handler when it starts
            ray_session(address, view.say) as nodes,
            listening(view.warn) as requests,
        ):
            from orchestrator.ray_backend import nodes as node_checks  # loads Ray

            plan = make_plan(sweep, directory, nodes, check_data=check_data and address is not None)
            if address is not None:
                data = _announced(plan, console)
                node_checks.check_nodes(sweep, data, check_data=check_data)
                if sweep.resources.gpus_per_worker:
                    refuse_unfit_gpus(sweep, node_checks.ask_every_node(installed_gpus))
            if sweep.resources.shares_gpus:
                here = [("this machine", mps_runs())]
                view.say(sharing_note(here if address is None else node_checks.ask_every_node(mps_runs)))
            with _lease(directory, view) as holder:
                refuse_different(sweep, directory)  # since the plan, another launch may have come and gone
                refuse_changed_data(directory, data)
                _store_sweep(holder.directory, sweep, data, view)
                if address is not None:
                    node_checks.check_run_directory(directory)
                conductor = Conductor(sweep, holder.directory.retrying(), monitor, retry_failed=retry_failed)
                with requests.passed_to(conductor.abort):
                    _run_trials(conductor, trial, holder.check, view.refresh)
                return _finish(sweep, holder.directory, conductor)
    finally:
        view.close()


def _announced(plan: Plan, console: Console | None) -> dict[str, str]:
    """Say what is to be known before the trials start, and return the fingerprints of the data sets."""
    if console is not None:
        for note in plan.notes:
            console.print(f"note: {note}", markup=False, highlight=False, soft_wrap=True)
    return plan.fingerprints


def _nothing_to_run(sweep: Sweep, directory: RunDirectory) -> Outcome:
    refuse_different(sweep, directory)
    evidence, lease = Standing.read(sweep, directory).evidence, directory.read_lease()
    if evidence.usable and not (lease is not None and shows_life(lease, datetime.now(UTC))):
        # The last launch may have been killed before it wrote the front.
        refresh_front(directory, sweep.objectives, constraints=sweep.bounds)
    if directory.has_leftovers():
        with suppress(OSError, LaunchError), holding(directory, logger.info) as holder:
            holder.directory.remove_leftovers()
    failed = [entry for entry in directory.read_ledger() if evidence.state(entry) == "failed"]
    return Outcome(directory, failed, complete=True, started=False)


@contextmanager
def _lease(directory: RunDirectory, view: View) -> Iterator[Holder]:
    """Create the run directory and hold its lease.

    Raises:
        LaunchError: another launch holds it or takes it over, or the directory cannot be written to, or is gone.
    """
    with ExitStack() as stack:
        try:
            directory.make_folders()
            holder = stack.enter_context(holding(directory, view.say))
        except OSError as error:
            raise LaunchError(f"the run directory must be writable, but {directory.uri}: {error}") from None
        try:
            yield holder
        except LostLeaseError:
            raise holder.why_lost() from None


def _store_sweep(directory: RunDirectory, sweep: Sweep, data: Mapping[str, str], view: View) -> None:
    """Write ``sweep.yaml``, and move broken files to ``quarantine/``: their trials run again. Delete leftovers.

    The versions include ``data``, the fingerprint of each data set: the trials of a run share their images. Those of
    earlier launches are kept if they were others.
    """
    stored, versions = directory.read_versions(), installed_versions()
    if changed := ", ".join(changes(stored, versions)):
        view.say(
            f"note: the run goes on with {changed}; last digits may differ, and each point names its versions"
        )
    for problem in directory.quarantine_broken():
        logger.warning("%s was moved to quarantine/: %s", problem.path, problem.reason)
    directory.remove_leftovers()
    known = {**recorded_fingerprints(directory), **data}
    record = with_history(stored, versions, datetime.now(UTC))
    directory.write_sweep(sweep.model_dump(mode="json"), {**record, **({"data": known} if known else {})})


def _run_trials(conductor: Conductor, trial: str, *often: Callable[[], None]) -> None:
    """Let Ray Tune run the conductor's trials until none is left, and call ``often`` several times a second.

    Raises:
        LaunchError: storage failed for too long.
        Exception: whatever else has made the conductor give up.
    """
    from ray import tune

    from orchestrator.ray_backend import tune_adapters as adapters
    from orchestrator.ray_backend.heartbeats import Watch
    from orchestrator.ray_backend.job import Job

    sweep = conductor.sweep
    job = Job(conductor.directory, sweep.name, sweep.resources, trial, sweep.bounds)
    watch = Watch(job.run, conductor.stalls)
    search = adapters.LedgerSearch(
        conductor, Capacity(lambda: gang_capacity(sweep.resources, living_nodes()))
    )
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # the conductor reports failures
    with (
        closing(watch),
        tempfile.TemporaryDirectory(prefix="shrinksweep-", ignore_cleanup_errors=True) as scratch,
    ):
        tune.run(
            adapters.trainable(job),
            name="tune",
            storage_path=scratch,
            resources_per_trial=adapters.placement(job),
            num_samples=-1,
            search_alg=search,
            scheduler=adapters.LedgerScheduler(conductor, search),
            stop=adapters.Halt(conductor),
            callbacks=[adapters.Housekeeping(conductor, search, *often, watch.look)],
            reuse_actors=True,
            raise_on_failed_trial=False,
            verbose=0,
            log_to_file=False,
            trial_dirname_creator=lambda trial: str(trial.trial_id),
        )
    failure = conductor.failure
    if failure is not None and not isinstance(failure, InterruptedLaunchError):
        if isinstance(failure, OSError):
            raise LaunchError(f"storage must take what is written, but {failure}; launch again") from failure
        raise failure


def _finish(sweep: Sweep, directory: RunDirectory, conductor: Conductor) -> Outcome:
    """Write the front and, after the last trial, compact the points."""
    complete = conductor.done
    if directory.finished_keys():
        conductor.monitor.front = refresh_front(directory, sweep.objectives, constraints=sweep.bounds)
        if complete:
            directory.compact()
    return Outcome(directory, conductor.failed_trials(), complete)
