"""Disturb one sweep at random moments, launch again where needed, and count what was lost.

The trials compute nothing, but write every record (``fake_trials.counted_trial``), and halving stops two thirds of
them. What is done to them is in ``benchmarks.disturbances``; the clock of every process is wrong. The sweep lasts
longer than all events, and then runs to its end. Its points are compared with those of an undisturbed run without
halving.

An epoch is *lost* if it was on storage after an event, and has no row with the same time stamp at the end. It is
*doubled* if it has two rows, and *repeated* if it was started more than once. An event may repeat the epochs that it
interrupts, one for each running trial: ``repeated_epochs`` is the number of repeated epochs for each of those. There
were *two writers* where a file was replaced by one of an earlier launch, or a launch went on that should not.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow.parquet as pq

from benchmarks import harness
from benchmarks.disturbances import EVENTS, Disturber, course
from benchmarks.harness import Cell, Figure, Measured, Table
from results import RunDirectory, open_run
from results.schema import POINTS, volatile_columns
from results.storage.parquet_files.parquet import TOKEN_KEY

if TYPE_CHECKING:
    from orchestrator import Sweep

ALL_EVENTS, QUICK_EVENTS = 200, 9
EPOCHS_A_TRIAL = 20
COMPARED_AFTER = 8
TRIALS_AN_EVENT = 6
MOMENT_S = (0.0, 3.0)
"""Shortest and longest time from the first new row after an event to the next event."""


def sweep(events: int, scheduler: str = "halving") -> Sweep:
    """Return a grid that lasts longer than all events."""
    from orchestrator import Sweep

    return Sweep(
        name="faults",
        trial={
            "search": {"epochs": 1},
            "train": {"epochs": EPOCHS_A_TRIAL - 1},
            "ladder": {"threshold": [0.0, 0.1]},
        },
        sweep={"space.splitting": [1, 2, 4], "seed": list(range(max(8, TRIALS_AN_EVENT * events // 3)))},
        strategy={
            "searcher": "grid",
            "scheduler": scheduler,
            "halving": {"first_epochs": COMPARED_AFTER, "eta": 3},
        },
        resources={"stalled_after_s": 10.0},
        retries=5,
    )


@dataclass
class Seen:
    """What was on storage after each event."""

    epochs: list[pd.DataFrame] = field(default_factory=list)
    tokens: dict[str, int] = field(default_factory=dict)
    decisions: dict[tuple[int, int], object] = field(default_factory=dict)
    two_writers: int = 0
    decisions_changed: int = 0

    def look(self, directory: RunDirectory) -> None:
        """Take note of the progress, of the launches that have written it, and of the scheduler's decisions."""
        self.epochs.append(directory.read_progress(columns=["trial_key", "step", "at"]).to_pandas())
        for path in (Path(directory.uri) / "progress").glob("*.parquet"):
            token = int((pq.read_schema(path).metadata or {}).get(TOKEN_KEY, 0))
            self.two_writers += token < self.tokens.get(path.name, 0)
            self.tokens[path.name] = token
        for entry in directory.read_ledger():
            for decision in entry.extra.get("decisions", ()):
                known = self.decisions.setdefault((entry.index, decision["epoch"]), decision)
                self.decisions_changed += known != decision


def measure(quick: bool) -> Measured:
    """Disturb, count what was lost, and compare with an undisturbed run."""
    events = QUICK_EVENTS if quick else ALL_EVENTS
    with tempfile.TemporaryDirectory() as folder:
        switches = Path(folder, "switches")
        switches.mkdir()
        disturber = Disturber(Path(folder, "disturbed", "run"), switches, events)
        disturber.run_dir.parent.mkdir()
        happened, seen = _disturb(disturber, events)
        disturber.finish()
        seen.look(disturber.directory)
        run = open_run(disturber.run_dir)
        points, progress, trials = run.points(), run.progress(), run.trials()
        stored = pd.concat(seen.epochs).drop_duplicates()
        lost = len(stored) - len(stored.merge(progress, on=["trial_key", "step", "at"]))
        doubled = int(progress.duplicated(["trial_key", "step"]).sum() + points["point"].duplicated().sum())
        begun = Counter(file.name.rpartition("-")[0] for file in disturber.directory.storage.list("begun"))
        settled = bool(trials["state"].isin(["finished", "stopped"]).all())
        identical = settled and _same(points, _undisturbed(Path(folder, "calm"), events, points))
        lost += _missing(trials)
    repeated = sum(begun.values()) - len(begun)
    figures = [
        Figure("events", happened.total(), "events", events),
        Figure("lost", lost, "epochs", 0, "lower"),
        Figure("doubled", doubled, "rows", 0, "lower"),
        Figure("two_writers", seen.two_writers + len(disturber.faults), "times", 0, "lower"),
        Figure("decisions_changed", seen.decisions_changed, "decisions", 0, "lower"),
        Figure(
            "repeated_epochs", repeated / max(disturber.interrupted, 1), "an interrupted trial", 1, "lower"
        ),
        Figure("identical", float(identical), "1 = yes", 1),
    ]
    configuration = {"trials": len(trials), "epochs": EPOCHS_A_TRIAL}
    rows: list[list[Cell]] = [[name, happened[name]] for name in EVENTS]
    rows += [[fault, disturber.faults.count(fault)] for fault in dict.fromkeys(disturber.faults)]
    return Measured(figures, configuration, [Table("what happened", ["event", "times"], rows)])


def _disturb(disturber: Disturber, events: int) -> tuple[Counter[str], Seen]:
    """Let all events happen, or as many as the sweep lasts for."""
    chance, happened, seen = random.Random(0), Counter[str](), Seen()
    for name in course(events):
        done = False
        while not done:
            before = disturber.rows()
            disturber.driver  # noqa: B018 - started if there is none
            while not disturber.over and disturber.rows() == before:
                time.sleep(0.05)
            time.sleep(chance.uniform(*MOMENT_S))
            if disturber.over:
                return happened, seen
            done = EVENTS[name](disturber)
        happened[name] += 1
        seen.look(disturber.directory)
    return happened, seen


def _missing(trials: pd.DataFrame) -> int:
    """Return how many epochs lack that each trial has at its end."""
    expected = trials["state"].map({"finished": EPOCHS_A_TRIAL, "stopped": COMPARED_AFTER}).astype(int)
    return int((expected - trials["epochs_done"]).clip(lower=0).sum())


def _undisturbed(folder: Path, events: int, points: pd.DataFrame) -> pd.DataFrame:
    """Return the points of the same trials, run in this process one after the other."""
    from tests.doubles.fake_trials import quick_trial
    from trials.config import TrialConfig
    from trials.context import TrialContext

    directory = RunDirectory(folder, create=True)
    directory.write_sweep(sweep(events, scheduler="none").model_dump(mode="json"), {})
    for row in points.drop_duplicates("trial_key").to_dict("records"):
        context = TrialContext(directory, int(row["trial_index"]), "faults")
        quick_trial(TrialConfig.model_validate_json(row["config"]), context)
    return open_run(folder).points()


def _same(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    volatile = volatile_columns(POINTS)
    frames = [
        f.drop(columns=volatile, errors="ignore").sort_values("point", ignore_index=True)
        for f in (one, other)
    ]
    return frames[0].equals(frames[1])


if __name__ == "__main__":
    harness.main("faults", measure)
