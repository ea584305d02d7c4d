"""What the report is made of: everything read from storage once, and the names that commands take."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results import pareto
from results.constraints import feasible
from results.objectives import Objectives
from results.problems import Problem
from results.run import Run
from results.schema import column_of_path

COSTS = ("macs", "effective_macs", "memory_bytes")
FACTORS = ("splitting", "regularization", "threshold")


@dataclass(frozen=True)
class Material:
    """The tables of a run at one moment. ``on_front`` [n] and ``labels`` [n] go with the rows of ``points``."""

    run: Run
    title: str
    points: pd.DataFrame
    progress: pd.DataFrame
    trials: pd.DataFrame
    directions: Mapping[str, str]
    on_front: NDArray[np.bool_]
    labels: pd.Series[str]
    broken: int = 0
    """Points that break a constraint of the sweep: left out of ``points``."""
    problems: list[Problem] = field(default_factory=list)

    @classmethod
    def of(cls, run: Run) -> Material:
        """Read a run. Errors: ``BrokenFileError``, ``ResultsError`` for runs that differ in their objectives."""
        everything, progress, trials = run.points(), run.progress(), run.trials()
        points = everything[feasible(everything, run.constraints())].reset_index(drop=True)
        directions = run.objectives()
        return cls(
            run=run,
            title=_title(run),
            points=points,
            progress=progress,
            trials=trials,
            directions=directions,
            on_front=pareto.front_mask(points, Objectives.of_sweep(directions)),
            labels=labels_of(points),
            broken=len(everything) - len(points),
            problems=run.problems(),
        )

    @property
    def quality(self) -> str:
        """The column of the y axis: the first objective to maximize, or the accuracy."""
        return next((name for name, way in self.directions.items() if way == "max"), "accuracy")

    @property
    def costs(self) -> list[str]:
        """The columns of the x axis: what the sweep minimizes, and the usual costs; what was measured comes first."""
        minimized = [name for name, way in self.directions.items() if way == "min"]
        names = dict.fromkeys([*minimized, *COSTS])
        return sorted(names, key=lambda name: not self.points[name].notna().any())

    @property
    def factors(self) -> list[str]:
        """The columns that colours tell apart: s, lambda, tau, and what else is swept; those that vary come first."""
        swept = [name for name in map(column_of_path, self.run.swept()) if name in self.points.columns]
        names = dict.fromkeys([*FACTORS, *swept])
        return sorted(names, key=lambda name: self.points[name].astype(str).nunique() < 2)

    @property
    def front(self) -> pd.DataFrame:
        """The points on the front with a column ``label``, best first in the first objective."""
        front = self.points.assign(label=self.labels)[self.on_front]
        ascending = [way == "min" for way in self.directions.values()]
        return front.sort_values(list(self.directions), ascending=ascending, kind="stable", ignore_index=True)

    def command(self, verb: str, *rest: str) -> str:
        """Return a command about this run, to be pasted into a shell: ``shrinksweep export runs/a POINT``."""
        return " ".join(["shrinksweep", verb, place(self.run), *rest])


def labels_of(points: pd.DataFrame) -> pd.Series[str]:
    """Return the shortest names by which commands know the points: 8 digits of the key and the rung.

    Where two trials share those digits, it is the whole name.
    """
    keys = points["trial_key"].astype(str)
    short = keys.str.slice(0, 8)
    unique = keys.drop_duplicates()
    shared = unique.str.slice(0, 8).duplicated(keep=False)
    clear = ~keys.isin(set(unique[shared]))
    rungs = points["rung"].astype("str").str.zfill(2)
    return points["point"].astype(str).where(~clear, short + "-" + rungs).rename("label")


def place(run: Run) -> str:
    """Return the run as a shell command names it: relative to this folder where it lies in it."""
    shown = []
    for directory in run.directories:
        uri = directory.uri
        if "://" not in uri and Path(uri).is_relative_to(Path.cwd()):
            uri = os.path.relpath(uri)
        shown.append(shlex.quote(uri))
    return shown[0] if len(shown) == 1 else "RUN"


def _title(run: Run) -> str:
    names: list[Any] = [(directory.read_sweep() or {}).get("name") for directory in run.directories]
    folders = [directory.uri.rstrip("/").rpartition("/")[2] for directory in run.directories]
    return ", ".join(dict.fromkeys(str(name or folder) for name, folder in zip(names, folders, strict=True)))
