"""What every process of a sweep gets, and how one process runs its part of a trial."""

from __future__ import annotations

import importlib
import json
import os
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from orchestrator.sweep.sweep import ResourcesConfig
from results import RunDirectory
from results.pareto.constraints import Constraint
from results.record_types import JsonObject
from trials.config import TrialConfig, of_record
from trials.context import TrialContext

Report = Callable[[JsonObject], None]
"""Receives the progress row of every epoch, from rank 0. An exception from it ends the trial."""

WAITING = "waiting"
"""Key of a row that is no epoch, but a line of text about what the trial waits for."""

EVALUATE = "evaluate_ladder"
"""The function next to the one that runs a trial; it evaluates a finished trial on a longer ladder."""


@dataclass(frozen=True)
class Job:
    """What all trials of a sweep have in common. Picklable."""

    directory: RunDirectory
    sweep: str
    resources: ResourcesConfig
    trial: str
    """The function that runs a trial, as ``module:name``: every process imports it itself."""
    constraints: tuple[Constraint, ...] = ()
    run: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Random name of this launch."""

    def bundles(self) -> list[dict[str, float]]:
        """Return the bundles of a trial's placement group.

        One worker is the trial's own process. More workers are actors, one bundle each, behind an empty bundle for
        the trial's own process.
        """
        r = self.resources
        bundle = {"CPU": r.cpus_per_worker, "GPU": r.gpus_per_worker}
        bundle = {kind: amount for kind, amount in bundle.items() if amount > 0}
        return [bundle] if r.workers == 1 else [{}] + [bundle] * r.workers


@dataclass(frozen=True)
class Rank:
    """The rank of one process in a gang."""

    rank: int = 0
    world_size: int = 1
    address: str | None = None
    """Where the ranks meet, see ``trials.device.rendezvous``; None for a trial of one process."""


def run_rank(job: Job, index: int, config: str, report: Report, rank: Rank) -> None:
    """Run one rank of a trial in this process, with its reserved GPUs only.

    Args:
        job: what all trials have in common.
        index: ledger index of the trial.
        config: its ``TrialConfig``, as JSON.
        report: called by rank 0 after every epoch.
        rank: which rank this is.
    """
    if not job.resources.gpus_per_worker:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""

    parsed = of_record(TrialConfig, json.loads(config))
    module, _, name = job.trial.partition(":")
    if job.directory.has_points(parsed.trial_key()):  # already trained: only the ladder has grown
        if rank.rank > 0:
            return
        name = EVALUATE
    function = getattr(importlib.import_module(module), name)
    directory = job.directory if rank.rank else job.directory.retrying(notify=_reporting_wait(report))
    context = TrialContext(
        directory=directory,
        index=index,
        sweep=job.sweep,
        constraints=job.constraints,
        report=report,
        rank=rank.rank,
        world_size=rank.world_size,
        address=rank.address,
    )
    if job.resources.limit_gpu_memory:
        from trials.device.memory import limit_gpu_memory

        limit_gpu_memory(job.resources.gpus_per_worker)
    function(parsed, context)


def _reporting_wait(report: Report) -> Callable[[str], None]:
    """Return a function that reports a line about what this thread waits for."""
    thread = threading.get_ident()

    def notify(text: str) -> None:
        if threading.get_ident() == thread:
            report({WAITING: text})

    return notify
