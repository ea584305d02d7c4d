"""What orchestration costs: no-op trials from end to end, with every record written.

``vs_bare_ray`` compares with Ray Tune alone: trials with reused actors and no loggers, each of which reports one row
and writes nothing. The start of neither counts. ``overhead_1s_trials`` is the time beyond one second a trial, after
every core has finished its first trial. ``first_1s_trials_s`` is the time from the launch to that moment, with the
start of the processes. Everything is measured three times; the figures are medians.
"""

from __future__ import annotations

import os
import resource
import statistics
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from typing_extensions import override

from benchmarks import harness
from benchmarks.harness import Cell, Figure, Measured, Table
from orchestrator.conductor.conductor import Conductor
from orchestrator.conductor.monitor import Monitor
from orchestrator.launch import conduct
from orchestrator.ray_backend.cluster import ENVIRONMENT, ray_session
from orchestrator.sweep.sweep import Sweep
from results import RunDirectory, open_run

ROUNDS = 3


def sweep_of(trials: int) -> Sweep:
    """Return a sweep of ``trials`` no-op trials."""
    return Sweep(
        name="noop",
        trial={"ladder": {"threshold": [0.0]}},
        sweep={
            "space.splitting": [1, 2, 4],
            "feature_maps.regularization": {"low": 1e-6, "high": 1e-2, "log": True},
        },
        strategy={"searcher": "random", "trials": trials},
        resources={"cpus_per_worker": 1.0},
    )


def measure(quick: bool) -> Measured:
    """Measure no-op trials a second, the memory of the driver, and the start of a resumed launch."""
    with tempfile.TemporaryDirectory() as folder, ray_session(None):
        run_ours(Path(folder) / "warm-up", 50, "noop_trial")  # loads what actors need
        rounds = [_measure_once(Path(folder) / str(index), quick) for index in range(ROUNDS)]
    figures = [replace(figure, value=_median(each)) for figure, *each in zip(rounds[0], *rounds, strict=True)]
    spread: list[list[Cell]] = [
        [figure.name, *sorted(f.value for f in each if f.value is not None)]
        for figure, *each in zip(rounds[0], *rounds, strict=True)
    ]
    count, early, seconds = _sizes(quick)
    sizes = {"trials": count, "growth_from": early, "one_second_trials": seconds, "rounds": ROUNDS}
    table = Table("spread", ["figure", "least", "median", "most"], spread)
    return Measured(figures, sizes, [table])


def _sizes(quick: bool) -> tuple[int, int, int]:
    """Return the number of no-op trials, from which of them on memory is compared, and the number of long trials."""
    return (600, 200, 30) if quick else (10_000, 1_000, 200)


def _median(figures: Iterable[Figure]) -> float:
    return statistics.median(figure.value for figure in figures if figure.value is not None)


def _measure_once(folder: Path, quick: bool) -> list[Figure]:
    """Return the figures of one round, in which the trials of this project and of Ray alone alternate."""
    count, early, seconds = _sizes(quick)
    before = _bare_rate(min(count, 600))
    ours = _long(folder / "long", count, early)
    bare = (before + _bare_rate(min(count, 600))) / 2
    resume = _resume_seconds(folder / "long", count)
    start = datetime.now(UTC)
    run_ours(folder / "seconds", seconds, "second_trial")
    ends = open_run(folder / "seconds").progress()["at"].sort_values()
    first = ends.iloc[_cores() - 1]
    overhead = (ends.iloc[-1] - first).total_seconds() / (seconds / _cores() - 1) - 1
    return [
        Figure("noop_trials_per_s", ours.rate, "1/s", target=50.0),
        Figure("bare_ray_trials_per_s", bare, "1/s"),
        Figure("vs_bare_ray", ours.rate / bare, "fraction", target=0.9),
        Figure("slow_down", ours.slow_down, "fraction", target=0.2, better="lower"),
        Figure("driver_growth_MB", ours.growth, "MB", target=60.0, better="lower"),
        Figure(f"resume_{'10k' if count == 10_000 else count}_s", resume, "s", target=10.0, better="lower"),
        Figure("overhead_1s_trials", overhead, "fraction", target=0.03, better="lower"),
        Figure("first_1s_trials_s", (first - start).total_seconds(), "s", better="lower"),
    ]


def run_ours(run_dir: Path, trials: int, function: str) -> None:
    """Run ``trials`` trials to their end."""
    outcome = conduct(sweep_of(trials), run_dir, trial=f"tests.doubles.fake_trials:{function}")
    assert outcome.complete, "the sweep must complete"
    assert not outcome.failed, "no trial may fail"


@dataclass(frozen=True)
class Long:
    """Results of one long launch, from its trial ``early`` on."""

    rate: float
    """Trials a second."""
    slow_down: float
    """How much longer the last tenth of the trials took than the tenth that begins with ``early``, as a fraction."""
    growth: float
    """Growth of the driver's memory in MB."""


def _long(run_dir: Path, count: int, early: int) -> Long:
    """Run ``count`` no-op trials in one launch; no figure includes its start."""
    noted: list[float] = []

    def note_memory() -> None:
        points = run_dir / "points"
        while not points.exists() or sum(1 for _ in points.iterdir()) < early:
            time.sleep(0.2)
        noted.append(_memory_MB())

    watch = threading.Thread(target=note_memory, daemon=True)
    watch.start()
    run_ours(run_dir, count, "noop_trial")
    watch.join()
    grown = _memory_MB() - noted[0]  # before the records are read below
    assert len(RunDirectory(run_dir).finished_keys()) == count
    ends = open_run(run_dir).progress()["at"].sort_values().reset_index(drop=True)

    def seconds(first: int, last: int) -> float:
        return float((ends[last - 1] - ends[first - 1]).total_seconds())

    tenth = count // 10
    slow_down = seconds(count - tenth, count) / seconds(early, early + tenth) - 1
    return Long((count - early) / seconds(early, count), slow_down, grown)


def _bare_rate(trials: int) -> float:
    """Return the trials a second of Ray Tune alone, after the first sixth of them: its start does not count either."""
    from ray import tune

    ends: list[float] = []

    class Clock(tune.Callback):  # type: ignore[misc]
        @override
        def on_trial_complete(self, *args: object, **info: object) -> None:
            ends.append(time.perf_counter())

    def nothing(config: dict[str, object]) -> None:
        tune.report({"done": True})

    with tempfile.TemporaryDirectory() as folder, _environment():
        tune.run(
            nothing, config={"x": tune.uniform(0, 1)}, num_samples=trials, reuse_actors=True,
            storage_path=folder, verbose=0, resources_per_trial={"cpu": 1}, callbacks=[Clock()],
        )  # fmt: skip
    first = trials // 6
    return (len(ends) - 1 - first) / (ends[-1] - ends[first])


def _resume_seconds(run_dir: Path, count: int) -> float:
    """Return the seconds until a resumed launch proposes its first trial."""
    start = time.perf_counter()
    entry = Conductor(sweep_of(count + 1), RunDirectory(run_dir), Monitor()).next()
    assert entry is not None
    return time.perf_counter() - start


def _cores() -> int:
    return os.cpu_count() or 1


def _memory_MB() -> float:  # noqa: N802
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


@contextmanager
def _environment() -> Iterator[None]:
    os.environ.update(ENVIRONMENT)
    yield


if __name__ == "__main__":
    harness.main("orchestration", measure)
