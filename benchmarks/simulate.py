"""Searchers and halving on a simulated clock: the hypervolume that a budget buys, on the table of NAS-Bench-201.

The objects are those of a launch (``Proposals``, ``Halving``); only the clock and the trials are simulated. Four
trials run at a time, and an epoch takes one unit of time. Without halving a trial takes 200 epochs. With halving it
reports after 12; the table's values after 12 epochs are those of separate, annealed trainings, so a trial that goes on
takes 12 + 200. The headline is random search, the default searcher, with the default settings of halving, which is off
by default: the best third goes on. Objectives: CIFAR-10 validation accuracy after 200 epochs (max) and macs (min). The
hypervolume is that of the fully trained trials, as a fraction of the whole table's; its reference point is an accuracy
of 60% and 1.01 x the largest macs.

The table is read from ``$SHRINKSWEEP_DATA/nasbench201.parquet``, and is not part of this project.
"""

from __future__ import annotations

import heapq
import os
import re
import time
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Literal

import moocore
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks import harness
from benchmarks.harness import Cell, Figure, Measured, Table
from orchestrator.schedulers.halving import Halving, Report, Rules
from orchestrator.searchers.base import Searcher
from orchestrator.searchers.optuna_searcher import OptunaSearcher
from orchestrator.searchers.proposals import Proposals
from orchestrator.searchers.random_searcher import RandomSearcher
from orchestrator.sweep import HalvingConfig
from orchestrator.sweep.dimensions import Assignment, Values

FIRST, LAST = 12, 200
WORKERS = 4
ETA = HalvingConfig().eta
DEFAULT = "random + halving"
"""The strategy of the headline: it is named before anything is measured."""
FULL = LAST / WORKERS
"""Time of one full training when all workers are busy."""
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = [Values(f"edge_{i}", OPERATIONS) for i in range(6)]
COMBINATIONS = len(OPERATIONS) ** len(EDGES)
Kind = Literal["random", "nsga2", "tpe"]
KINDS: tuple[Kind, ...] = ("random", "nsga2", "tpe")


@dataclass(frozen=True)
class Bench:
    """The table: costs [n, 2] (negated accuracy, macs) of every architecture after 12 and after 200 epochs."""

    rows: dict[tuple[str, ...], int]
    """Row of an architecture, by the operations of its six edges."""
    early: NDArray[np.float64]
    final: NDArray[np.float64]
    reference: NDArray[np.float64]
    best: float
    """Hypervolume of the whole table after 200 epochs."""

    @classmethod
    def load(cls, path: Path) -> Bench:
        """Read the table from a Parquet file."""
        columns = ["arch", "cifar10_valid_acc_12ep", "cifar10_valid_acc_200ep_1run", "flops_M_cifar10"]
        frame = pd.read_parquet(path, columns=columns)
        rows = {tuple(re.findall(r"(\w+)~\d", arch)): i for i, arch in enumerate(frame["arch"])}
        macs = frame["flops_M_cifar10"].to_numpy(dtype=np.float64)
        early, final = (
            np.column_stack([-frame[name].to_numpy(dtype=np.float64), macs]) for name in columns[1:3]
        )
        reference = np.array([-60.0, 1.01 * macs.max()])
        return cls(rows, early, final, reference, float(moocore.hypervolume(final, ref=reference)))

    def row(self, assignment: Assignment) -> int:
        """Return the row of a proposed architecture."""
        return self.rows[tuple(str(assignment[edge.path]) for edge in EDGES)]


@dataclass
class Curve:
    """Growth of the hypervolume, as fractions of the whole table's."""

    times: list[float]
    values: list[float]
    trials: int
    horizon: float = float("inf")

    def at(self, moment: float) -> float:
        """Return the fraction that is reached by a time."""
        index = int(np.searchsorted(self.times, moment, side="right")) - 1
        return self.values[index] if index >= 0 else 0.0

    def reaches(self, value: float) -> float | None:
        """Return the time at which a fraction is reached, or None."""
        reached = np.flatnonzero(np.array(self.values) >= value)
        return self.times[int(reached[0])] if len(reached) else None


def simulate(bench: Bench, searcher: Searcher, horizon: float, halving: Halving | None) -> Curve:
    """Run a sweep on the simulated clock until ``horizon``."""
    proposals = Proposals(searcher, COMBINATIONS)
    clock, order = 0.0, count()
    events: list[tuple[float, int, int, int, Assignment]] = []  # time, tie, trial, epoch, assignment
    trials = 0
    front, volume = np.empty((0, 2)), 0.0
    curve = Curve([], [], 0, horizon)

    def start() -> None:
        nonlocal trials
        assignment = proposals.next(trials)
        if assignment is not None:
            epochs = LAST if halving is None else FIRST
            heapq.heappush(events, (clock + epochs, next(order), trials, epochs, assignment))
            trials += 1

    for _ in range(WORKERS):
        start()
    while events:
        clock, _, trial, epoch, assignment = heapq.heappop(events)
        if clock > horizon:
            break
        row = bench.row(assignment)
        if epoch == FIRST:
            early = (float(bench.early[row, 0]), float(bench.early[row, 1]))
            if halving is not None and halving.reported(Report(trial, FIRST, early)):
                heapq.heappush(events, (clock + LAST, next(order), trial, LAST, assignment))
                continue
        else:
            searcher.tell(trial, assignment, [[-float(bench.final[row, 0]), float(bench.final[row, 1])]])
            merged = np.vstack([front, bench.final[row]])
            front = merged[moocore.is_nondominated(merged)]
            volume = float(moocore.hypervolume(front, ref=bench.reference)) / bench.best
            curve.times.append(clock)
            curve.values.append(volume)
        start()
    curve.trials = trials
    return curve


def searcher_of(kind: Kind, seed: int) -> Searcher:
    """Return a new searcher over the six edges."""
    if kind == "random":
        return RandomSearcher(EDGES, seed)
    return OptunaSearcher(EDGES, directions=["max", "min"], kind=kind, population=20, rungs=1, seed=seed)


def new_halving() -> Halving:
    """Return a new halving: after 12 epochs the best third continues."""
    return Halving(Rules(first=FIRST, eta=ETA, signs=(1.0, 1.0)))


def measure(quick: bool) -> Measured:
    """Measure what a budget buys with each searcher, with and without halving."""
    bench = Bench.load(_table())
    seeds = range(3 if quick else 20)
    curves: dict[str, list[Curve]] = {}
    for kind in KINDS:
        for halved in (False, True):
            full = 400 if not halved or kind == "random" else 120
            curves[f"{kind}{' + halving' if halved else ''}"] = [
                simulate(bench, searcher_of(kind, seed), full * FULL, new_halving() if halved else None)
                for seed in seeds
            ]
    target = float(np.median([curve.at(400 * FULL) for curve in curves["random"]]))
    ratios = {name: _ratio(found, target) for name, found in curves.items()}
    seconds = _seconds_of_10k(bench)
    figures = [
        Figure("time_ratio_to_random", ratios[DEFAULT], "fraction", target=0.25, better="lower"),
        *(
            Figure(f"time_ratio_{name.replace(' + ', '_')}", ratio, "fraction", better="lower")
            for name, ratio in ratios.items()
        ),
        Figure("random_400", target, "fraction"),
        Figure("simulated_10k_trials", seconds, "s", target=60.0, better="lower"),
    ]
    return Measured(figures, {"seeds": len(seeds), "workers": WORKERS, "eta": ETA}, [_bands(curves)])


def _ratio(curves: list[Curve], target: float) -> float | None:
    """Return the median time to ``target`` as a fraction of 400 full trainings; None if it is infinite."""
    times = sorted(
        float("inf") if (reached := curve.reaches(target)) is None else reached for curve in curves
    )
    median = times[len(times) // 2]
    return median / (400 * FULL) if np.isfinite(median) else None


def _bands(curves: dict[str, list[Curve]]) -> Table:
    moments = (10, 25, 50, 100, 200, 400)
    rows: list[list[Cell]] = []
    for name, found in curves.items():
        for moment in moments:
            if moment * FULL > found[0].horizon:
                break  # beyond the simulated time
            values = [curve.at(moment * FULL) for curve in found]
            quarter, half, most = np.quantile(values, [0.25, 0.5, 0.75])
            rows.append([name, moment, float(quarter), float(half), float(most)])
    columns = ["strategy", "full trainings' time", "hypervolume 25%", "50%", "75%"]
    return Table("hypervolume as a fraction of the table's", columns, rows)


def _seconds_of_10k(bench: Bench) -> float:
    start = time.perf_counter()
    curve = simulate(bench, searcher_of("random", 0), 10_000 * FULL, None)
    assert curve.trials >= 10_000
    return time.perf_counter() - start


def _table() -> Path:
    folder = os.environ.get("SHRINKSWEEP_DATA")
    if folder is None or not (path := Path(folder) / "nasbench201.parquet").exists():
        raise SystemExit(
            f"the table must be at $SHRINKSWEEP_DATA/nasbench201.parquet, but got SHRINKSWEEP_DATA={folder}"
        )
    return path


if __name__ == "__main__":
    harness.main("simulate", measure)
