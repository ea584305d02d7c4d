"""Sharing: 1, 2 and 4 processes on one GPU, each with a search of its own: steps a second of all together.

All processes are started and warmed up once; then so many of them run at the same time, for some seconds. Whether
kernels of different processes run at the same time depends on MPS (docs/cluster.md), so the section says if it runs.
"""

from __future__ import annotations

import multiprocessing
import shutil
import subprocess
import time
from multiprocessing.connection import Connection
from typing import NamedTuple

import torch

from benchmarks.gpu.day import Day
from benchmarks.gpu.settings import FULL, TINY
from benchmarks.gpu.workload import search, trial_config
from benchmarks.harness import Cell
from orchestrator.preflight.gpu_sharing import mps_runs
from trials.device.graph import EAGER_STEPS

STEPS = 1
"""Steps of an epoch: how finely the time of a process is cut."""


class Answer(NamedTuple):
    """What a process says: steps, seconds, and its own and all memory in use on the device, in bytes."""

    steps: int
    seconds: float
    allocated: int
    used: int


def measure(day: Day) -> None:
    """Run more and more processes at the same time."""
    counts, seconds = day.pick((1, 2, 4), (1, 2)), day.pick(4.0, 0.01)
    day.fact("mps", _mps())
    context = multiprocessing.get_context("fork")  # this process has not touched the GPU
    links: list[Connection] = []
    rows: list[list[Cell]] = []
    one = 0.0
    for count in counts:
        while len(links) < count:
            ours, theirs = context.Pipe()
            context.Process(target=_worker, args=(theirs, str(day.device), day.tiny), daemon=True).start()
            theirs.close()
            links.append(ours)
            ours.recv()  # warmed up
        for link in links:
            link.send(seconds)
        answers: list[Answer] = [link.recv() for link in links]
        together = sum(answer.steps / answer.seconds for answer in answers)
        one = one or together
        own, used = max(a.allocated for a in answers) / 1e6, max(a.used for a in answers) / 1e6
        rows.append(
            [count, together, together / one, own if day.on_gpu else None, used if day.on_gpu else None]
        )
        columns = ("processes", "steps/s", "x one process", "peak MB of a process", "MB in use on the GPU")
        day.table("processes at the same time", columns, rows)
    if counts[-1] == 4:
        day.figure("four_processes_speedup", together / one)


def _mps() -> str:
    """Return whether the control daemon of MPS runs."""
    if shutil.which("nvidia-cuda-mps-control") is None:
        return "not installed"
    if not mps_runs():
        return "not running"
    asked = subprocess.run(
        ["nvidia-cuda-mps-control"], input="get_server_list\n", capture_output=True, text=True, timeout=10
    )
    return "running" if asked.returncode == 0 else "not running"


def _worker(link: Connection, device_name: str, tiny: bool) -> None:
    """Run epochs of a search for as many seconds as the link says, again and again."""
    device = torch.device(device_name)
    phase = search(trial_config(TINY if tiny else FULL), device, STEPS)
    for _ in range(1 if tiny else EAGER_STEPS + 1):  # until a step is captured
        phase.run_epoch(0)
    link.send(True)
    while True:
        try:
            seconds = link.recv()
        except EOFError:
            return
        start, epochs = time.perf_counter(), 0
        while not epochs or time.perf_counter() - start < seconds:
            phase.run_epoch(1)
            epochs += 1
        passed = time.perf_counter() - start
        link.send(Answer(STEPS * epochs, passed, *_memory(device)))


def _memory(device: torch.device) -> tuple[int, int]:
    """Return the peak of this process and what all processes use, in bytes; 0 on the CPU."""
    if device.type != "cuda":
        return 0, 0
    free, total = torch.cuda.mem_get_info(device)
    return torch.cuda.max_memory_allocated(device), total - free
