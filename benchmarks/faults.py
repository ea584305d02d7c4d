"""Kill parts of one sweep at random moments, launch again where needed, and count what was lost.

The trials compute nothing, but write every record (``fake_trials.counted_trial``). Every kill is a SIGKILL to a random
target: the driver alone, the driver with all its processes, the raylet, or the process of one trial. The sweep lasts
longer than all kills. After the last kill it runs to its end, and its points are compared with those of an undisturbed
run.

An epoch is *lost* if it was on storage before a kill, and has no row with the same time stamp at the end. It is
*doubled* if it has two rows, and *repeated* if it was started more than once. A kill may repeat the epochs that it
interrupts, one for each running trial: ``repeated_epochs`` is the number of repeated epochs for each of those.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import psutil

from benchmarks import harness
from benchmarks.harness import Cell, Figure, Measured, Table
from results import RunDirectory, open_run
from results.schema import POINTS, volatile_columns

if TYPE_CHECKING:
    from orchestrator import Sweep

KILLS, QUICK_KILLS = 100, 6
EPOCHS_A_TRIAL = 20
TRIALS_A_KILL = 4
MOMENT_S = (0.0, 3.0)
"""Shortest and longest time from the first new row after a kill to the next kill."""

TARGETS = ("driver", "driver and its processes", "raylet", "trial")

DRIVER = """
import sys
from benchmarks.faults import sweep
from orchestrator.launch import conduct
outcome = conduct(sweep(int(sys.argv[2])), sys.argv[1], trial="tests.doubles.fake_trials:counted_trial")
sys.exit(0 if outcome.complete and not outcome.failed else 1)
"""


def sweep(kills: int) -> Sweep:
    """Return a grid that lasts longer than all kills."""
    from orchestrator import Sweep

    return Sweep(
        name="faults",
        trial={
            "search": {"epochs": 1},
            "train": {"epochs": EPOCHS_A_TRIAL - 1},
            "ladder": {"threshold": [0.0, 0.1]},
        },
        sweep={"space.splitting": [1, 2, 4], "seed": list(range(max(8, TRIALS_A_KILL * kills // 3)))},
        strategy={"searcher": "grid"},
        retries=5,
    )


@dataclass
class Disturbed:
    """What was observed while a sweep was disturbed."""

    kills: Counter[str] = field(default_factory=Counter)
    interrupted: int = 0
    """Trials that ran when something that they needed was killed."""
    seen: list[pd.DataFrame] = field(default_factory=list)
    """The epochs on storage after each kill."""


def measure(quick: bool) -> Measured:
    """Kill, count what was lost, and compare with an undisturbed run."""
    kills = QUICK_KILLS if quick else KILLS
    with tempfile.TemporaryDirectory() as folder:
        disturbed, calm = Path(folder, "disturbed"), Path(folder, "calm")
        found = _disturb(disturbed, kills)
        _finish(disturbed, kills)
        _finish(calm, kills)
        points, progress = open_run(disturbed).points(), open_run(disturbed).progress()
        identical = _same(points, open_run(calm).points())
        expected = open_run(calm).progress()
        seen = pd.concat(found.seen).drop_duplicates()
        lost = len(seen) - len(seen.merge(progress, on=["trial_key", "step", "at"]))
        doubled = int(progress.duplicated(["trial_key", "step"]).sum() + points["point"].duplicated().sum())
        begun = Counter(
            file.name.rpartition("-")[0] for file in RunDirectory(disturbed).storage.list("begun")
        )
    repeated = sum(begun.values()) - len(begun)
    figures = [
        Figure("kills", found.kills.total(), "kills", kills),
        Figure("lost", lost + len(expected) - len(progress), "epochs", 0, "lower"),
        Figure("doubled", doubled, "rows", 0, "lower"),
        Figure("repeated_epochs", repeated / max(found.interrupted, 1), "an interrupted trial", 1, "lower"),
        Figure("identical", float(identical), "1 = yes", 1),
    ]
    configuration = {"trials": len(expected) // EPOCHS_A_TRIAL, "epochs": EPOCHS_A_TRIAL}
    rows: list[list[Cell]] = [[target, found.kills[target]] for target in TARGETS]
    return Measured(figures, configuration, [Table("what was killed", ["target", "times"], rows)])


def _disturb(run_dir: Path, kills: int) -> Disturbed:
    """Kill ``kills`` times, or until the sweep has ended."""
    chance, found = random.Random(0), Disturbed()
    driver = _start(run_dir, kills)
    while found.kills.total() < kills:
        before = _rows(run_dir)
        while driver.poll() is None and _rows(run_dir) == before:
            time.sleep(0.05)
        time.sleep(chance.uniform(*MOMENT_S))
        target = chance.choice(TARGETS)
        victims = _victims(driver, target)
        if driver.poll() is not None:
            break  # the sweep has ended
        if not victims:
            continue  # no trial runs at this moment
        for victim in victims:
            victim.kill()
        running = int((open_run(run_dir).trials()["state"] == "running").sum())
        found.kills[target] += 1
        found.interrupted += 1 if target == "trial" else max(1, running)
        if target != "trial":
            driver.wait()
        found.seen.append(open_run(run_dir).progress()[["trial_key", "step", "at"]])
        if target != "trial":
            driver = _start(run_dir, kills)
    if driver.poll() is None:
        driver.wait()
    return found


def _victims(driver: subprocess.Popen[bytes], target: str) -> list[psutil.Process]:
    """Return the processes to kill; empty if the target has none."""
    try:
        process = psutil.Process(driver.pid)
        below = process.children(recursive=True)
        if target == "raylet":
            return [one for one in below if one.name() == "raylet"]
        if target == "trial":
            return [one for one in below if _runs_a_trial(one)][:1]
    except psutil.NoSuchProcess:
        return []
    return [process, *(below if target != "driver" else [])]


def _runs_a_trial(process: psutil.Process) -> bool:
    try:
        return "ray::ImplicitFunc" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False


def _finish(run_dir: Path, kills: int) -> None:
    if _start(run_dir, kills).wait() != 0:
        raise RuntimeError(f"the sweep in {run_dir} must end without failed trials, but did not")


def _start(run_dir: Path, kills: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", DRIVER, str(run_dir), str(kills)]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, start_new_session=True, stdout=quiet, stderr=quiet)


def _rows(run_dir: Path) -> int:
    directory = RunDirectory(run_dir)
    return directory.read_progress(columns=["step"]).num_rows if directory.exists() else 0


def _same(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    volatile = volatile_columns(POINTS)
    frames = [
        f.drop(columns=volatile, errors="ignore").sort_values("point", ignore_index=True)
        for f in (one, other)
    ]
    return frames[0].equals(frames[1])


if __name__ == "__main__":
    harness.main("faults", measure)
