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

from results.pareto import pareto
from results.pareto.constraints import feasible
from results.pareto.objectives import Objectives
from results.run import Run
from results.schema import column_of_path
from results.storage.problems import Problem

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
            labels=_labels(run, points),
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
        """The columns that colours tell apart: s, lambda, tau, what else is swept, and of several runs the run; those
        that vary come first."""
        swept = [name for name in map(column_of_path, self.run.swept()) if name in self.points.columns]
        names = dict.fromkeys([*(["run"] if self.run.names else []), *FACTORS, *swept])
        return sorted(names, key=lambda name: self.points[name].astype(str).nunique() < 2)

    @property
    def front(self) -> pd.DataFrame:
        """The points on the front with a column ``label``, best first in the first objective."""
        front = self.points.assign(label=self.labels)[self.on_front]
        ascending = [way == "min" for way in self.directions.values()]
        return front.sort_values(list(self.directions), ascending=ascending, kind="stable", ignore_index=True)

    def export(self, label: str) -> str:
        """Return the command that exports a point, to be pasted into a shell: ``shrinksweep export runs/a POINT``."""
        return f"shrinksweep export {label}" if self.run.names else f"shrinksweep export {self.place} {label}"

    @property
    def place(self) -> str:
        """The run as a command names it; ``RUN`` of several."""
        return "RUN" if self.run.names else _places(self.run)[0]


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


def _labels(run: Run, points: pd.DataFrame) -> pd.Series[str]:
    """Return the labels of the points; of several runs, behind the run that a command has to name."""
    if run.names is None:
        return labels_of(points)
    places = dict(zip(run.names, _places(run), strict=True))
    return (points["run"].astype(str).map(places) + " " + labels_of(points)).rename("label")


def _places(run: Run) -> list[str]:
    """Return the runs as a shell command names them: relative to this folder where they lie in it."""
    shown = []
    for directory in run.directories:
        uri = directory.uri
        if "://" not in uri and Path(uri).is_relative_to(Path.cwd()):
            uri = os.path.relpath(uri)
        shown.append(shlex.quote(uri))
    return shown


def _title(run: Run) -> str:
    if run.names is not None:
        return ", ".join(run.names)
    name: Any = run.sweep().get("name")
    return str(name or run.directory.uri.rstrip("/").rpartition("/")[2])
