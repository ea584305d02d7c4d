"""The gang of a trial: its processes, one per rank, in one placement group.

Tune places one process per trial. With one worker, that process runs the trial. With more, it starts the workers as
actors in its own placement group, so Ray reserves the whole gang or nothing, and keeps them for the trials that follow.
After every epoch rank 0 waits for an answer: a stopped trial ends there, and no epoch is computed in vain.
"""

from __future__ import annotations

import queue
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal, cast

import ray
from ray import ObjectRef
from ray.actor import ActorHandle
from ray.exceptions import RayActorError
from ray.util.placement_group import PlacementGroup
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from orchestrator.ray_backend.heartbeats import showing_life
from orchestrator.ray_backend.job import Job, Rank, Report, run_rank
from results.record_types import JsonObject
from shrinksweep import ShrinksweepError

Answer = Literal["continue", "stop"]

STOP_TIMEOUT_S = 10.0
"""How long the other ranks may run after rank 0 has stopped. Then they are killed."""


class GangError(ShrinksweepError, RuntimeError):
    """A rank of a gang died. The message says which, and why."""


def run_attempt(job: Job, index: int, config: str, report: Report) -> None:
    """Run one attempt at a trial to its end, from the process that Tune placed. Raises what the trial raises.

    Args:
        job: what all trials have in common.
        index: ledger index of the trial.
        config: its ``TrialConfig``, as JSON.
        report: called after every epoch; an exception from it ends the attempt.
    """
    with showing_life(job, index):
        if job.resources.workers == 1:
            run_rank(job, index, config, report, Rank())
        else:
            _gang_of_this_process(job).run(job, index, config, report)


@dataclass
class Mailbox:
    """Carries the rows and answers of one attempt between ``Worker.run`` and ``Worker.exchange``."""

    rows: queue.SimpleQueue[JsonObject | None] = field(default_factory=queue.SimpleQueue)
    answers: queue.SimpleQueue[Answer] = field(default_factory=queue.SimpleQueue)


class Worker:
    """One rank of a gang, as a Ray actor.

    ``run`` and ``exchange`` run at the same time, in two threads, and either may be called first: so each attempt has
    its own mailbox.
    """

    def __init__(self) -> None:
        self._mailboxes: dict[int, Mailbox] = {}
        self._lock = threading.Lock()

    def node(self) -> str:
        """Return the id of the node that this rank runs on."""
        return _node()

    def address(self) -> str:
        """Return an address of this node at which ranks of other nodes can meet."""
        from trials.device.rendezvous import new_address

        return new_address(ray.util.get_node_ip_address())

    def run(self, attempt: int, job: Job, index: int, config: str, rank: Rank) -> bool:
        """Run this rank's part of a trial. Return False if it was stopped. Raises what the trial raises."""
        mailbox = self._mailbox(attempt)

        def report(row: JsonObject) -> None:
            mailbox.rows.put(row)
            if mailbox.answers.get() == "stop":
                raise SystemExit

        try:
            with showing_life(job, index):
                run_rank(job, index, config, report, rank)
        except SystemExit:  # from ``report``; no ``except Exception`` inside the trial can catch it
            return False
        finally:
            mailbox.rows.put(None)
        return True

    def exchange(self, attempt: int, answer: Answer | None) -> JsonObject | None:
        """Answer the last row, if there was one, and return the next; None after the last."""
        mailbox = self._mailbox(attempt)
        if answer is not None:
            mailbox.answers.put(answer)
        return mailbox.rows.get()

    def _mailbox(self, attempt: int) -> Mailbox:
        with self._lock:
            self._mailboxes.pop(attempt - 2, None)  # that attempt is over
            return self._mailboxes.setdefault(attempt, Mailbox())


@dataclass
class Gang:
    """The workers of one placement group."""

    group: PlacementGroup
    workers: list[ActorHandle]
    pending: list[ObjectRef] = field(default_factory=list)
    """The calls of ``Worker.run`` of the current attempt, by rank."""
    attempt: int = 0
    nodes: set[str] = field(default_factory=set)
    """Ids of the nodes that the workers run on; empty before the first attempt."""

    @classmethod
    def start(cls, job: Job, group: PlacementGroup) -> Gang:
        """Start one worker per bundle. Ray does not count the empty bundle, so the workers' bundles begin at 0."""
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
        """Run a trial on all workers. However it ends, afterwards no worker still runs it."""
        with self._address() as address:
            self._run_at(address, job, index, config, report)

    def _run_at(self, address: str, job: Job, index: int, config: str, report: Report) -> None:
        try:
            self._run(address, job, index, config, report)
        except SystemExit:  # stopped: the gang can be used again if all ranks have noticed
            _, unfinished = ray.wait(self.pending, num_returns=len(self.pending), timeout=STOP_TIMEOUT_S)
            if unfinished:
                self.end()
            raise
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """Kill every worker."""
        for worker in self.workers:
            with suppress(Exception):
                ray.kill(worker)
        if _gangs.get("gang") is self:
            del _gangs["gang"]

    @contextmanager
    def _address(self) -> Iterator[str]:
        """Yield where the ranks meet: in a folder of this node if all of them are here, which needs no port."""
        if not self.nodes:
            self.nodes = set(ray.get([worker.node.remote() for worker in self.workers]))
        if self.nodes != {_node()}:
            yield ray.get(self.workers[0].address.remote())
            return
        with tempfile.TemporaryDirectory(prefix="shrinksweep-gang-") as folder:
            yield f"file://{folder}/meet"

    def _run(self, address: str, job: Job, index: int, config: str, report: Report) -> None:
        size = len(self.workers)
        first = self.workers[0]
        self.attempt += 1
        self.pending = [
            worker.run.remote(self.attempt, job, index, config, Rank(rank, size, address))
            for rank, worker in enumerate(self.workers)
        ]
        ranks = {call: rank for rank, call in enumerate(self.pending)}
        unfinished = list(self.pending)
        row: ObjectRef | None = first.exchange.remote(self.attempt, None)
        while unfinished:
            done, _ = ray.wait([row, *unfinished] if row is not None else unfinished, num_returns=1)
            if done[0] is row or done[0] == row:
                row = self._next_row(row, report)
            else:
                unfinished.remove(done[0])
                _result(ranks[done[0]], done[0])

    def _next_row(self, row: ObjectRef, report: Report) -> ObjectRef | None:
        """Report a row of rank 0 and ask for the next; None after the last."""
        content = cast(JsonObject | None, _result(0, row))
        if content is None:
            return None
        try:
            report(content)
        except SystemExit:
            self.pending.append(self.workers[0].exchange.remote(self.attempt, "stop"))
            raise
        return self.workers[0].exchange.remote(self.attempt, "continue")


def _node() -> str:
    return str(ray.get_runtime_context().get_node_id())


def _result(rank: int, call: ObjectRef) -> object:
    try:
        return ray.get(call)
    except RayActorError as error:
        raise GangError(f"the process of rank {rank} died: {why_it_died(error)}") from None


def why_it_died(error: RayActorError) -> str:
    """Return in one line what Ray knows about the death of a process, without its guesses at causes."""
    text = " ".join(str(error).split()).partition(" Some common causes")[0]
    process = re.search(r"pid: (\d+).*? ip: (\S+)", text)
    detail = re.search(r"Worker exit type: (.*)", text)
    prefix = f"process {process[1]} on {process[2]}: " if process else ""
    return prefix + (detail[1].replace("Worker exit detail: ", "") if detail else text)[:500]


_gangs: dict[str, Gang] = {}  # the gang of this process, if any: kept from trial to trial


def _gang_of_this_process(job: Job) -> Gang:
    group = ray.util.get_current_placement_group()
    gang = _gangs.get("gang")
    if gang is None or gang.group.id != group.id:
        if gang is not None:
            gang.end()
        gang = _gangs["gang"] = Gang.start(job, group)
    return gang
