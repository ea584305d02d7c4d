"""Kill the driver at random moments of one sweep, launch again each time, and count what was lost.

The trials compute nothing but leave every record (``fake_trials.slow_trial``). A kill is SIGKILL to the group of
processes of the driver, so that its Ray and its trials go down with it. The sweep is long enough for all kills; after
the last one it is left alone until it ends, and its points are compared with those of an undisturbed run.

An epoch is *lost* if it was on storage before a kill and is not there with the same time stamp in the end; *doubled* if
it has two rows; *repeated* epochs are those that were under way when a kill came, and were computed again.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks import harness
from benchmarks.harness import Figure, Measured
from results import RunDirectory, open_run
from results.schema import POINTS, volatile_columns

KILLS, QUICK_KILLS = 100, 5
EPOCHS_A_TRIAL = 20
TRIALS_A_KILL = 1
MOMENT_S = (0.0, 4.0)
"""A kill comes so long after the driver has written its first new row."""
DRIVER = """
import sys
from benchmarks.faults import sweep
from orchestrator.launch import conduct
outcome = conduct(sweep(int(sys.argv[2])), sys.argv[1], trial="benchmarks.fake_trials:slow_trial")
sys.exit(0 if outcome.complete and not outcome.failed else 1)
"""


def sweep(kills: int) -> Any:
    """Return a grid that lasts longer than ``kills`` kills take."""
    from orchestrator import Sweep

    return Sweep(
        name="faults",
        trial={
            "search": {"epochs": 1},
            "train": {"epochs": EPOCHS_A_TRIAL - 1},
            "ladder": {"threshold": [0.0, 0.1]},
        },
        sweep={"space.splitting": [1, 2, 4], "seed": list(range(max(4, TRIALS_A_KILL * kills // 3)))},
        strategy={"searcher": "grid"},
        retries=5,
    )


def measure(quick: bool) -> Measured:
    """Kill, count, and compare with an undisturbed run."""
    kills = QUICK_KILLS if quick else KILLS
    with tempfile.TemporaryDirectory() as folder:
        disturbed, calm = Path(folder, "disturbed"), Path(folder, "calm")
        seen, done, under_way = _disturb(disturbed, kills)
        _finish(disturbed, kills)
        _finish(calm, kills)
        points, progress = open_run(disturbed).points(), open_run(disturbed).progress()
        identical = _same(points, open_run(calm).points())
        lost = len(seen) - len(seen.merge(progress, on=["trial_key", "step", "at"]))
        doubled = int(progress.duplicated(["trial_key", "step"]).sum() + points["point"].duplicated().sum())
        expected = open_run(calm).progress()
        figures = [
            Figure("kills", done, "kills", kills),
            Figure("lost", lost + len(expected) - len(progress), "epochs", 0, "lower"),
            Figure("doubled", doubled, "rows", 0, "lower"),
            Figure("repeated_epochs", under_way / max(done, 1), "a kill, at most", 2, "lower"),
            Figure("identical", float(identical), "1 = yes", 1),
        ]
    configuration = {
        "trials": len(expected) // EPOCHS_A_TRIAL,
        "epochs": EPOCHS_A_TRIAL,
        "killed": "driver group",
    }
    return Measured(figures, configuration)


def _disturb(run_dir: Path, kills: int) -> tuple[pd.DataFrame, int, int]:
    """Return all epochs seen on storage at a kill, the kills, and the trials that a kill found in an epoch."""
    moments = random.Random(0)
    seen, done, under_way = [], 0, 0
    for _ in range(kills):
        driver = _start(run_dir, kills)
        before = _rows(run_dir)
        while driver.poll() is None and _rows(run_dir) == before:
            time.sleep(0.05)
        time.sleep(moments.uniform(*MOMENT_S))
        if driver.poll() is not None:
            break  # the sweep has ended
        os.killpg(driver.pid, signal.SIGKILL)
        driver.wait()
        done += 1
        run = open_run(run_dir)
        seen.append(run.progress()[["trial_key", "step", "at"]])
        under_way += int((run.trials()["state"] == "running").sum())
    return pd.concat(seen).drop_duplicates(), done, under_way


def _finish(run_dir: Path, kills: int) -> None:
    if _start(run_dir, kills).wait() != 0:
        raise RuntimeError(f"the sweep in {run_dir} must end without failed trials, but it did not")


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
