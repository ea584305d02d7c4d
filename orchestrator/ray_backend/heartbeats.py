"""The signs of life of a launch's processes, from the processes to the driver, and the end of those that show none.

Every process that runs a part of a trial shares how many steps it has done, in a thread that reads a counter: a process
that is stopped shares nothing any more, and one that waits in vain shares the same number again and again.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field

import psutil
import ray
from ray import ObjectRef
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.conductor.stalls import Stalls, look_every_s
from orchestrator.ray_backend.job import Job
from orchestrator.ray_backend.tune_private import forget_shared, share, shared
from trials.heartbeat import HEART


@dataclass(frozen=True)
class Sign:
    """What a process shares."""

    index: int | None
    """Ledger index of the trial that it runs; None: it waits for one."""
    beats: int
    node: str
    pid: int
    started: float
    """Start of the process, in seconds since 1970: process ids are reused."""


@contextmanager
def showing_life(job: Job, index: int) -> Iterator[None]:
    """Share the signs of life of this process inside the ``with`` block, in which it runs a part of trial ``index``."""
    pulse = _pulses.setdefault(job.run, Pulse(job))
    pulse.show(index)
    try:
        yield
    finally:
        pulse.show(None)


class Pulse:
    """Shares the signs of life of this process, in a thread that is started with the first trial."""

    def __init__(self, job: Job) -> None:
        self._every_s = look_every_s(job.resources.stalled_after_s)
        self._index: int | None = None
        self._changed = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(job.run,), name="pulse", daemon=True)

    def show(self, index: int | None) -> None:
        """Share from now on that this process runs a part of trial ``index``."""
        self._index = index
        if index is not None:
            self._changed.set()
            if not self._thread.is_alive():
                self._thread.start()

    def _run(self, run: str) -> None:
        process, node = psutil.Process(), ray.get_runtime_context().get_node_id()
        key, started = f"{run}/{node}/{os.getpid()}", process.create_time()
        while True:
            self._changed.clear()
            sign = Sign(self._index, HEART.beats, node, os.getpid(), started)
            with suppress(Exception):  # whatever fails: the next sign is due soon
                share(key, json.dumps(asdict(sign)))
            self._changed.wait(self._every_s)


_pulses: dict[str, Pulse] = {}  # of this process, by launch


@dataclass
class Watch:
    """Ends the processes of trials that stand still. Ray then tells Tune that they have died."""

    run: str
    stalls: Stalls
    _ending: list[ObjectRef] = field(default_factory=list)

    def look(self) -> None:
        """Look at all signs of life, if it is time. Cheap to call often."""
        if not self.stalls.due:
            return
        signs: dict[int, list[Sign]] = {}
        for text in shared(f"{self.run}/"):
            sign = Sign(**json.loads(text))
            if sign.index is not None:
                signs.setdefault(sign.index, []).append(sign)
        beats = {index: {f"{s.node} {s.pid}": s.beats for s in found} for index, found in signs.items()}
        for index in self.stalls.look(beats):
            for sign in signs.get(index, []):
                self._end(sign)

    def _end(self, sign: Sign) -> None:
        if sign.node == ray.get_runtime_context().get_node_id():
            kill_process(sign.pid, sign.started)
            return
        where = NodeAffinitySchedulingStrategy(sign.node, soft=False)
        task = ray.remote(num_cpus=0, max_retries=0)(kill_process)
        self._ending.append(task.options(scheduling_strategy=where).remote(sign.pid, sign.started))

    def close(self) -> None:
        """Delete what the processes have shared."""
        with suppress(Exception):  # Ray may be gone
            forget_shared(f"{self.run}/")


def kill_process(pid: int, started: float) -> None:
    """Kill a process of this node, unless its id is that of another one by now."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        if abs(process.create_time() - started) < 1.0:
            process.kill()
