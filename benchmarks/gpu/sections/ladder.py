"""Ladder: seconds a rung, that is one pass over the test images that prunes, quantizes and counts every feature map.

A ladder of one rung and one of four are timed: a rung is a third of the difference, without what all rungs share.
"""

from __future__ import annotations

import time

import torch

from benchmarks.gpu.day import Day
from benchmarks.gpu.ladder_work import NETWORKS, RUNGS, network, rows
from benchmarks.harness import Cell


def measure(day: Day) -> None:
    """Time the ladder of a network of convolutions, and of one of attention."""
    table: list[list[Cell]] = []
    images, side, channels, cells = day.pick((10_000, 32, 16, 8), (16, 8, 4, 3))
    for kind in NETWORKS if not day.tiny else ("conv",):
        with day.attempt(kind):
            torch.manual_seed(0)
            made = network(kind, channels, side, cells)
            rows(made, day.device, min(images, 512), side, RUNGS[:1])  # warm-up
            seconds = [_seconds(day, made, images, side, count) for count in (1, len(RUNGS))]
            rung = (seconds[1] - seconds[0]) / (len(RUNGS) - 1)
            table.append([kind, images, rung, images / rung if rung > 0 else None])
            day.table("a rung", ("network", "images", "s a rung", "images/s"), table)
            if kind == "conv" and rung > 0:
                day.figure("ladder_s_per_rung", rung)


def _seconds(day: Day, made: torch.nn.Module, images: int, side: int, rungs: int) -> float:
    """Return the seconds of a ladder; every row is a number of the CPU, so nothing is left to wait for."""
    start = time.perf_counter()
    rows(made, day.device, images, side, RUNGS[:rungs])  # type: ignore[arg-type]
    return time.perf_counter() - start
