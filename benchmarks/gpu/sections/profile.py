"""Profile: how many kernels a step launches, how long the device is busy, and which kernels take longest.

The kernels are those that the profiler of torch sees on the device, copies included, in an epoch of a few steps. The
busy share is their time, overlaps counted once, over the time of the same epoch without the profiler. On the CPU the
profiler sees operators instead.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch._C._autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu.day import Day
from benchmarks.gpu.settings import FULL, TINY
from benchmarks.gpu.workload import device_option, plain_search, search, trial_config
from benchmarks.harness import Cell
from trials.device.graph import EAGER_STEPS

LONGEST = 30
"""Kernels of the table."""
STEPS = 2
WARM_UP = 1 + EAGER_STEPS // STEPS
"""Epochs after which a step is captured."""


@dataclass(frozen=True)
class Kernel:
    """One kernel that ran on the device: name, start and end in microseconds."""

    name: str
    start: float
    end: float


def measure(day: Day) -> None:
    """Profile the default configuration, without a graph, in bf16, and the plain formula."""
    setting, device, steps = day.pick(FULL, TINY), day.device, day.pick(STEPS, 1)
    config, bf16 = trial_config(setting), trial_config(setting, "bf16")
    makers: dict[str, Callable[[], Callable[[int], object]]] = {
        "ours": lambda: search(config, device, steps).run_epoch,
        "ours, bf16": lambda: search(bf16, device, steps).run_epoch,
        "plain": lambda: plain_search(config, device, steps).run_epoch,
    }
    if day.tiny:
        makers = {"ours": makers["ours"]}
    elif device_option("graph"):
        eager = trial_config(setting, device={"graph": False})
        makers["ours, eager"] = lambda: search(eager, device, steps).run_epoch
    rows: list[list[Cell]] = []
    for name, make in makers.items():
        if day.left() < day.pick(6.0, 0.0):
            rows.append([name, None, None, None])
            continue
        with day.attempt(name):
            run_epoch = make()
            for _ in range(day.pick(WARM_UP, 1)):
                run_epoch(0)
            kernels, seconds = _profiled(run_epoch, day)
            busy = busy_us(kernels) / 1e6 / seconds
            rows.append([name, len(kernels) / steps, busy, copies_to_device(kernels) / steps])
            day.table("a step", ("candidate", "kernels", "busy share", "copies to the device"), rows)
            day.table(
                f"longest kernels, {name}", ("kernel", "share", "calls a step"), longest(kernels, steps)
            )
            if name == "ours":
                day.figure("kernels_per_step", len(kernels) / steps)
                day.figure("busy_share", busy)


def _profiled(run_epoch: Callable[[int], object], day: Day) -> tuple[list[Kernel], float]:
    """Return the kernels of one epoch, and the seconds of another one without the profiler."""
    _wait(day)
    start = time.perf_counter()
    run_epoch(1)
    _wait(day)
    seconds = time.perf_counter() - start
    activity = ProfilerActivity.CUDA if day.on_gpu else ProfilerActivity.CPU
    with profile(activities=[activity]) as trace:
        run_epoch(2)
        _wait(day)
    wanted = DeviceType.CUDA if day.on_gpu else DeviceType.CPU
    kernels = [
        Kernel(event.name, event.time_range.start, event.time_range.end)
        for event in trace.events() or ()
        if event.device_type == wanted and not getattr(event, "is_user_annotation", False)
    ]
    return kernels, seconds


def _wait(day: Day) -> None:
    if day.on_gpu:
        torch.cuda.synchronize(day.device)


def busy_us(kernels: Sequence[Kernel]) -> float:
    """Return the microseconds in which at least one kernel runs."""
    total, end = 0.0, float("-inf")
    for kernel in sorted(kernels, key=lambda kernel: kernel.start):
        total += max(0.0, kernel.end - max(kernel.start, end))
        end = max(end, kernel.end)
    return total


def copies_to_device(kernels: Sequence[Kernel]) -> int:
    """Return the number of copies from the host to the device."""
    return sum("HtoD" in kernel.name for kernel in kernels)


def longest(kernels: Sequence[Kernel], steps: int) -> list[list[Cell]]:
    """Return name, share of the time and calls of the kernels that take longest, all calls together."""
    times: dict[str, list[float]] = defaultdict(list)
    for kernel in kernels:
        times[kernel.name].append(kernel.end - kernel.start)
    total = sum(map(sum, times.values())) or 1.0
    ordered = sorted(times.items(), key=lambda item: -sum(item[1]))[:LONGEST]
    return [[name[:120], sum(calls) / total, len(calls) / steps] for name, calls in ordered]
