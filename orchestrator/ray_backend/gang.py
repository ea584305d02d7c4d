"""One attempt at a trial, inside the process that Tune placed: alone, or with workers of its own.

With one worker the trial runs right here. With more, this process starts them as actors in its own
placement group, so that the whole gang was reserved at once, and keeps them for the trials that follow. Rank
0 waits for an answer at the end of every epoch: a trial that is stopped ends there, and computes nothing in
vain.
"""

from __future__ import annotations

import importlib
import os
import queue
import re
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import ray
from ray.exceptions import RayActorError
from ray.util.placement_group import PlacementGroup
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from orchestrator.sweep.sweep import ResourcesConfig
from results import RunDirectory
from results.pareto.constraints import Constraint
from shrinksweep import ShrinksweepError
from trials.config import TrialConfig

Row = dict[str, Any]
Report = Callable[[Row], None]
Answer = Literal["go on", "stop"]

EVALUATE = "evaluate_ladder"
"""Its neighbour, which brings a finished trial's points to a longer ladder."""

STOP_TIMEOUT_S = 10.0
"""How long the other ranks may take to notice that rank 0 has stopped, before they are replaced."""


class GangError(ShrinksweepError, RuntimeError):
    """A rank of a gang died or failed. The message says which, and why."""


@dataclass(frozen=True)
class Job:
    """What every attempt of a sweep has in common. Picklable."""

    directory: RunDirectory
    sweep: str
    resources: ResourcesConfig
    trial: str
    """The function that runs a trial, ``module:name``: each process imports it for itself."""
    constraints: tuple[Constraint, ...] = ()

    def bundles(self) -> list[dict[str, float]]:
        """Return what the placement group of one trial reserves: an empty head, then one bundle a worker."""
        r = self.resources
        bundle = {"CPU": r.cpus_per_worker, "GPU": r.gpus_per_worker}
        bundle = {kind: amount for kind, amount in bundle.items() if amount > 0}
        return [bundle] if r.workers == 1 else [{}] + [bundle] * r.workers


@dataclass(frozen=True)
class Rank:
    """One process's place in a gang; ``address`` is where the ranks of a gang find each other."""

    rank: int = 0
    world_size: int = 1
    address: str | None = None


def run_attempt(job: Job, index: int, config: str, report: Report) -> None:
    """Run one attempt at the trial with this ledger index and configuration (JSON) to its end.

    ``report`` gets a row an epoch; what it raises ends the attempt. Raises whatever the trial raises.
    """
    if job.resources.workers == 1:
        run_rank(job, index, config, report, Rank())
    else:
        _kept_gang(job).run(job, index, config, report)


def run_rank(job: Job, index: int, config: str, report: Report, rank: Rank) -> None:
    """Run one rank's part of a trial in this process, on the GPUs that it has reserved and on no other."""
    if not job.resources.gpus_per_worker:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    from trials.checkpointing.record import TrialContext  # loads torch

    parsed = TrialConfig.model_validate_json(config)
    module, _, name = job.trial.partition(":")
    if job.directory.has_points(parsed.trial_key()):  # trained long ago: its ladder has new rungs
        if rank.rank > 0:
            return
        name = EVALUATE
    function = getattr(importlib.import_module(module), name)
    context = TrialContext(
        directory=job.directory,
        index=index,
        sweep=job.sweep,
        constraints=job.constraints,
        report=report,
        rank=rank.rank,
        world_size=rank.world_size,
        address=rank.address,
    )
    function(parsed, context)


@dataclass
class Mailbox:
    """What goes between an attempt's ``run`` and its ``exchange``."""

    rows: queue.SimpleQueue[Row | None] = field(default_factory=queue.SimpleQueue)
    answers: queue.SimpleQueue[Answer] = field(default_factory=queue.SimpleQueue)


class Worker:
    """One rank of a gang, as an actor. While ``run`` runs, ``exchange`` hands its rows out.

    The two are called at the same time, and either may be first: each attempt has a mailbox of its own.
    """

    def __init__(self) -> None:
        self._mailboxes: dict[int, Mailbox] = {}
        self._lock = threading.Lock()

    def free_address(self) -> str:
        """Return an address on this node that is free now."""
        ip = ray.util.get_node_ip_address()
        with socket.socket() as probe:
            probe.bind(("", 0))
            return f"tcp://{ip}:{probe.getsockname()[1]}"

    def run(self, attempt: int, job: Job, index: int, config: str, rank: Rank) -> bool:
        """Run this rank's part; False when it was stopped. Raises whatever the trial raises."""
        mailbox = self._mailbox(attempt)

        def report(row: Row) -> None:
            mailbox.rows.put(row)
            if mailbox.answers.get() == "stop":
                raise SystemExit

        try:
            run_rank(job, index, config, report, rank)
        except SystemExit:  # what ``report`` raises: no error, and nobody's to swallow
            return False
        finally:
            mailbox.rows.put(None)
        return True

    def exchange(self, attempt: int, answer: Answer | None) -> Row | None:
        """Answer the last row, and return the next; None when there is none any more."""
        mailbox = self._mailbox(attempt)
        if answer is not None:
            mailbox.answers.put(answer)
        return mailbox.rows.get()

    def _mailbox(self, attempt: int) -> Mailbox:
        with self._lock:
            self._mailboxes.pop(attempt - 2, None)  # nobody asks for it any more
            return self._mailboxes.setdefault(attempt, Mailbox())


@dataclass
class Gang:
    """The workers of one placement group."""

    group: PlacementGroup
    workers: list[Any]
    pending: list[Any] = field(default_factory=list)
    attempt: int = 0

    @classmethod
    def start(cls, job: Job, group: PlacementGroup) -> Gang:
        """Start one worker a bundle. Bundle 0 of the group is empty, and Ray counts from the next one."""
        resources = job.resources
        actor = ray.remote(Worker)
        workers = [
            actor.options(
                num_cpus=resources.cpus_per_worker,
                num_gpus=resources.gpus_per_worker,
                max_concurrency=2,  # ``run`` and ``exchange``
                scheduling_strategy=PlacementGroupSchedulingStrategy(
                    group, placement_group_bundle_index=bundle
                ),
            ).remote()
            for bundle in range(resources.workers)
        ]
        return cls(group, workers)

    def run(self, job: Job, index: int, config: str, report: Report) -> None:
        """Run a trial on all workers. However it ends, no worker is still at it afterwards."""
        try:
            self._run(job, index, config, report)
        except SystemExit:  # stopped: the workers are as good as new if all of them have noticed
            _, late = ray.wait(self.pending, num_returns=len(self.pending), timeout=STOP_TIMEOUT_S)
            if late:
                self.end()
            raise
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """End every worker."""
        for worker in self.workers:
            with suppress(Exception):
                ray.kill(worker)
        if _kept.get("gang") is self:
            del _kept["gang"]

    def _run(self, job: Job, index: int, config: str, report: Report) -> None:
        size = len(self.workers)
        first = self.workers[0]
        address = ray.get(first.free_address.remote())
        self.attempt += 1
        self.pending = [
            worker.run.remote(self.attempt, job, index, config, Rank(rank, size, address))
            for rank, worker in enumerate(self.workers)
        ]
        ranks = {ref: rank for rank, ref in enumerate(self.pending)}
        unfinished = list(self.pending)
        row = first.exchange.remote(self.attempt, None)
        while unfinished:
            done, _ = ray.wait([row, *unfinished] if row is not None else unfinished, num_returns=1)
            if done[0] is row or done[0] == row:
                row = self._answered(ranks, row, report)
            else:
                unfinished.remove(done[0])
                _result(ranks[done[0]], done[0])

    def _answered(self, ranks: dict[Any, int], row: Any, report: Report) -> Any:
        """Hand the row of rank 0 on, and ask for the next one; None when there is none any more."""
        content = _result(0, row)
        if content is None:
            return None
        try:
            report(content)
        except SystemExit:
            self.pending.append(self.workers[0].exchange.remote(self.attempt, "stop"))
            raise
        return self.workers[0].exchange.remote(self.attempt, "go on")


def _result(rank: int, reference: Any) -> Any:
    try:
        return ray.get(reference)
    except RayActorError as error:
        raise GangError(f"the process of rank {rank} died: {why_it_died(error)}") from None


def why_it_died(error: RayActorError) -> str:
    """Return in one line what Ray knows about the death of a process, without its guesses."""
    text = " ".join(str(error).split()).partition(" Some common causes")[0]
    place = re.search(r"pid: (\d+).*? ip: (\S+)", text)
    detail = re.search(r"Worker exit type: (.*)", text)
    known = f"process {place[1]} on {place[2]}: " if place else ""
    return known + (detail[1].replace("Worker exit detail: ", "") if detail else text)[:500]


_kept: dict[str, Gang] = {}  # the gang of this process, from trial to trial


def _kept_gang(job: Job) -> Gang:
    group = ray.util.get_current_placement_group()
    gang = _kept.get("gang")
    if gang is None or gang.group.id != group.id:
        if gang is not None:
            gang.end()
        gang = _kept["gang"] = Gang.start(job, group)
    return gang
