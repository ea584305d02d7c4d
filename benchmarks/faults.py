"""Disturb a sweep at random moments, launch again where needed, and count what was lost.

The trials compute nothing, but write every record (``fake_trials.counted_trial``), and halving stops two thirds of
them. What is done to them is in ``benchmarks.disturbances``; the clock of every process is wrong. One sweep is in a
folder, another one on an S3 server that is reached with credentials. Each goes on until all events have happened, and
then runs to its end. Its points are compared with those of an undisturbed run without halving.

An epoch is *lost* if it was on storage after an event, and has no row with the same time stamp at the end. It is
*doubled* if it has two rows, and *repeated* if it was started more than once. An event may repeat the epochs that it
interrupts, one for each running trial: ``repeated_epochs`` is the number of repeated epochs for each of those. There
were *two writers* where a file was replaced by one of an earlier launch, or a launch went on that should not.
``secrets_on_disk`` counts the files of this machine that hold the credentials, except for the terminal's own history.
"""

from __future__ import annotations

import os
import random
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from benchmarks import harness
from benchmarks.disk_search import files_with
from benchmarks.disturbances import EVENTS, Disturber, course
from benchmarks.harness import Cell, Figure, Measured, Table
from benchmarks.pretence import failing_puts
from results import RunDirectory, open_run
from results.schema import POINTS, PROGRESS, volatile_columns
from results.storage.backends.storage import FileVersion
from results.storage.parquet_files.parquet import read_small, written_with
from results.storage.parquet_files.schema_cast import ColumnSelection
from tests.results.s3 import s3_server

if TYPE_CHECKING:
    from orchestrator import Sweep

ALL_EVENTS, ALL_EVENTS_ON_S3 = 192, 8
QUICK_EVENTS, QUICK_EVENTS_ON_S3 = 9, 3
EPOCHS_A_TRIAL = 20
COMPARED_AFTER = 8
MOMENT_S = (0.0, 2.0)
"""Shortest and longest time from the first new row after an event to the next event."""


def sweep(seeds: int, scheduler: str = "halving") -> Sweep:
    """Return a grid of three trials a seed."""
    from orchestrator import Sweep

    return Sweep(
        name="faults",
        trial={
            "search": {"epochs": 1},
            "train": {"epochs": EPOCHS_A_TRIAL - 1},
            "ladder": {"threshold": [0.0, 0.1]},
        },
        sweep={"space.splitting": [1, 2, 4], "seed": list(range(seeds))},
        strategy={
            "searcher": "grid",
            "scheduler": scheduler,
            "halving": {"first_epochs": COMPARED_AFTER, "eta": 3, "objectives": {"accuracy": "max"}},
        },
        resources={"stalled_after_s": 10.0},
        retries=5,
    )


@dataclass
class Seen:
    """What was on storage after each event."""

    epochs: set[tuple[str, int, pd.Timestamp]] = field(default_factory=set)
    """Trial key, step and time stamp of each."""
    tokens: dict[str, int] = field(default_factory=dict)
    decisions: dict[tuple[int, int], object] = field(default_factory=dict)
    two_writers: int = 0
    decisions_changed: int = 0
    _versions: dict[str, FileVersion | None] = field(default_factory=dict)

    def look(self, directory: RunDirectory) -> None:
        """Take note of the progress, of the launches that have written it, and of the scheduler's decisions."""
        versions = {key: progress for key, (progress, _) in directory.versions().items() if progress}
        changed = [key for key, version in versions.items() if self._versions.get(key) != version]
        self._versions |= versions
        self.epochs |= _epochs(directory.read_progress(changed, ["trial_key", "step", "at"]).to_pandas())
        for key in changed:
            path = f"progress/{key}.parquet"
            token = written_with(
                read_small(directory.storage, path, ColumnSelection(PROGRESS, ["trial_key"]))
            )
            self.two_writers += token < self.tokens.get(key, 0)
            self.tokens[key] = token
        for entry in directory.read_ledger():
            for decision in entry.extra.get("decisions", ()):
                known = self.decisions.setdefault((entry.index, decision["epoch"]), decision)
                self.decisions_changed += known != decision


@dataclass
class Counts:
    """What was counted in one sweep. The figures of several are added."""

    happened: Counter[str]
    faults: list[str]
    trials: int = 0
    lost: int = 0
    doubled: int = 0
    two_writers: int = 0
    decisions_changed: int = 0
    repeated: int = 0
    interrupted: int = 0
    differing: int = 0
    """1 if the points are not those of an undisturbed run."""


def measure(quick: bool) -> Measured:
    """Disturb, count what was lost, and compare with undisturbed runs."""
    on_disk, on_s3 = (QUICK_EVENTS, QUICK_EVENTS_ON_S3) if quick else (ALL_EVENTS, ALL_EVENTS_ON_S3)
    began, secret = time.time(), secrets.token_hex(20)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, _home_of_launches(Path(folder)):
        with s3_server() as server:
            switches = _switches(Path(folder), "s3")
            server.fails = failing_puts(switches)
            uri = server.new_uri("runs/disturbed", secret)
            remote = _count(Disturber(uri, switches, max(8, on_s3)), course(on_s3, on_s3=True))
        switches = _switches(Path(folder), "disk")
        run_dir = switches.parent / "run"
        local = _count(Disturber(str(run_dir), switches, max(8, on_disk)), course(on_disk))
        found = files_with([secret], Path("/"), began)
    parts = [remote, local]
    happened, faults = remote.happened + local.happened, remote.faults + local.faults
    repeated, interrupted = sum(p.repeated for p in parts), sum(p.interrupted for p in parts)
    identical = not any(p.differing for p in parts)
    figures = [
        Figure("events", happened.total(), "events", on_disk + on_s3),
        Figure("lost", sum(p.lost for p in parts), "epochs", 0, "lower"),
        Figure("doubled", sum(p.doubled for p in parts), "rows", 0, "lower"),
        Figure("two_writers", sum(p.two_writers for p in parts) + len(faults), "times", 0, "lower"),
        Figure("decisions_changed", sum(p.decisions_changed for p in parts), "decisions", 0, "lower"),
        Figure("secrets_on_disk", len(found), "files", 0, "lower"),
        Figure("repeated_epochs", repeated / max(interrupted, 1), "an interrupted trial", 1, "lower"),
        Figure("identical", float(identical), "1 = yes", 1),
    ]
    rows: list[list[Cell]] = [[name, local.happened[name], remote.happened[name]] for name in EVENTS]
    tables = [Table("what happened", ["event", "on disk", "on S3"], rows)]
    wrong = Counter([*faults, *(f"credentials in {path}" for path in found)])
    if wrong:
        tables.append(Table("what must not happen", ["fault", "times"], [[*item] for item in wrong.items()]))
    return Measured(figures, {"trials": sum(p.trials for p in parts), "epochs": EPOCHS_A_TRIAL}, tables)


@contextmanager
def _home_of_launches(folder: Path) -> Iterator[None]:
    """Let all processes that are started inside the block keep their files in ``folder``."""
    before = {name: os.environ.get(name) for name in ("TMPDIR", "HOME")}
    os.environ |= {"TMPDIR": str(folder), "HOME": str(folder)}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _switches(folder: Path, name: str) -> Path:
    switches = folder / name / "switches"
    switches.mkdir(parents=True)
    return switches


def _count(disturber: Disturber, events: list[str]) -> Counts:
    """Disturb a sweep, let it end, and count."""
    happened, seen = _disturb(disturber, events)
    disturber.finish()
    seen.look(disturber.directory)
    run = open_run(disturber.uri)
    points, progress, trials = run.points(), run.progress(), run.trials()
    begun = Counter(file.name.rpartition("-")[0] for file in disturber.directory.storage.list("begun"))
    settled = bool(trials["state"].isin(["finished", "stopped"]).all())
    calm = _undisturbed(disturber.switches.parent / "calm", disturber.seeds, points)
    return Counts(
        happened,
        disturber.faults,
        trials=len(trials),
        lost=len(seen.epochs - _epochs(progress)) + _missing(trials),
        doubled=int(progress.duplicated(["trial_key", "step"]).sum() + points["point"].duplicated().sum()),
        two_writers=seen.two_writers,
        decisions_changed=seen.decisions_changed,
        repeated=begun.total() - len(begun),
        interrupted=disturber.interrupted,
        differing=int(not (settled and _same(points, calm))),
    )


def _disturb(disturber: Disturber, events: list[str]) -> tuple[Counter[str], Seen]:
    """Let all events happen."""
    chance, happened, seen = random.Random(0), Counter[str](), Seen()
    for name in events:
        done = False
        while not done:
            disturber.driver  # noqa: B018 - started if there is none
            before = disturber.versions()
            while not disturber.over and disturber.versions() == before:
                time.sleep(0.2)
            time.sleep(chance.uniform(*MOMENT_S))
            if disturber.over:
                disturber.extend()
            else:
                done = EVENTS[name].happen(disturber)
        happened[name] += 1
        seen.look(disturber.directory)
        print(f"{time.strftime('%X')} {happened.total()} of {len(events)}: {name}", file=sys.stderr)
    return happened, seen


def _epochs(progress: pd.DataFrame) -> set[tuple[str, int, pd.Timestamp]]:
    return set(zip(progress["trial_key"].astype(str), progress["step"], progress["at"], strict=True))


def _missing(trials: pd.DataFrame) -> int:
    """Return how many epochs lack that each trial has at its end."""
    expected = trials["state"].map({"finished": EPOCHS_A_TRIAL, "stopped": COMPARED_AFTER})
    return int((expected.fillna(EPOCHS_A_TRIAL).astype(int) - trials["epochs_done"]).clip(lower=0).sum())


def _undisturbed(folder: Path, seeds: int, points: pd.DataFrame) -> pd.DataFrame:
    """Return the points of the same trials, run in this process one after the other."""
    from tests.doubles.fake_trials import quick_trial
    from trials.config import TrialConfig
    from trials.context import TrialContext

    directory = RunDirectory(folder, create=True)
    directory.write_sweep(sweep(seeds, scheduler="none").model_dump(mode="json"), {})
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
