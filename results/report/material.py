"""Input of the report: the tables of a run, read once, and the names that commands accept."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.pareto import pareto
from results.pareto.constraints import feasible
from results.pareto.no_front import why_no_front
from results.pareto.objectives import Objectives
from results.run import Run
from results.schema import column_of_path
from results.storage.problems import Problem

COSTS = ("macs", "effective_macs", "memory_bytes")
FACTORS = ("splitting", "regularization", "threshold")


@dataclass(frozen=True)
class Material:
    """The tables of a run, or of several, at one moment. ``on_front`` and ``labels`` have one entry for each point."""

    run: Run
    title: str
    points: pd.DataFrame
    """The feasible points, [n]."""
    progress: pd.DataFrame
    trials: pd.DataFrame
    directions: Mapping[str, str]
    """``"max"`` or ``"min"`` for each objective of the sweep."""
    on_front: NDArray[np.bool_]
    labels: pd.Series[str]
    infeasible: int = 0
    """Number of points that violate a constraint of the sweep and are not in ``points``."""
    problems: list[Problem] = field(default_factory=list)

    @classmethod
    def of(cls, run: Run) -> Material:
        """Read the tables of a run.

        Raises:
            BrokenFileError: the sweep file cannot be read.
            ResultsError: several runs have different objectives.
        """
        all_points, progress, trials = run.points(), run.progress(), run.trials()
        points = all_points[feasible(all_points, run.constraints())].reset_index(drop=True)
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
            infeasible=len(all_points) - len(points),
            problems=run.problems(),
        )

    @property
    def no_points(self) -> str:
        """Why there are no points to show."""
        return self._sentence("there are no points to show")

    @property
    def no_front(self) -> str:
        """Why the front is empty."""
        return self._sentence("the Pareto front is empty")

    def _sentence(self, what: str) -> str:
        points = self.run.points() if self.points.empty else self.points
        why = why_no_front(points, self.directions, self.run.constraints())
        return f"{why[0].upper()}{why[1:]}: {what}."

    @property
    def quality(self) -> str:
        """The column of the y axis: the first objective to maximize, else accuracy."""
        return next((name for name, way in self.directions.items() if way == "max"), "accuracy")

    @property
    def costs(self) -> list[str]:
        """The columns of the x axis: objectives to minimize, then ``COSTS``; those never measured come last."""
        minimized = [name for name, way in self.directions.items() if way == "min"]
        names = dict.fromkeys([*minimized, *COSTS])
        return sorted(names, key=lambda name: not self.points[name].notna().any())

    @property
    def factors(self) -> list[str]:
        """The columns of colours: the run (of several runs), ``FACTORS``, other swept fields; constant ones last."""
        swept = [name for name in map(column_of_path, self.run.swept()) if name in self.points.columns]
        names = dict.fromkeys([*(["run"] if self.run.names else []), *FACTORS, *swept])
        return sorted(names, key=lambda name: self.points[name].astype(str).nunique() < 2)

    def references(self, objectives: Objectives) -> dict[str, dict[str, float]]:
        """Return two reference points of the hypervolume, by name: of the sweep file, and just beyond the front."""
        return {
            "hypervolume": pareto.completed(self.run.reference(), self.points, objectives),
            "hypervolume near the front": pareto.beyond_front(self.points, objectives),
        }

    @property
    def front(self) -> pd.DataFrame:
        """The points on the front with a column ``label``, sorted by the objectives, best first."""
        front = self.points.assign(label=self.labels)[self.on_front]
        ascending = [way == "min" for way in self.directions.values()]
        return front.sort_values(list(self.directions), ascending=ascending, kind="stable", ignore_index=True)

    def export_command(self, label: str) -> str:
        """Return the shell command that exports a point: ``shrinksweep export runs/a POINT``."""
        run = "" if self.run.names else f"{self.run_argument} "  # of several runs, the label contains the run
        return f"shrinksweep export {run}{label}"

    @property
    def run_argument(self) -> str:
        """The run as an argument of a shell command; ``RUN`` for several runs."""
        return "RUN" if self.run.names else _run_arguments(self.run)[0]


def labels_of(points: pd.DataFrame) -> pd.Series[str]:
    """Return the shortest names of the points that commands accept: 8 digits of the trial key, and the rung.

    Points of trials that share these 8 digits keep their full name.
    """
    keys = points["trial_key"].astype(str)
    short = keys.str.slice(0, 8)
    unique = keys.drop_duplicates()
    ambiguous = keys.isin(set(unique[unique.str.slice(0, 8).duplicated(keep=False)]))
    rungs = points["rung"].astype("str").str.zfill(2)
    return points["point"].astype(str).where(ambiguous, short + "-" + rungs).rename("label")


def _labels(run: Run, points: pd.DataFrame) -> pd.Series[str]:
    """Return the labels of the points; with several runs, each label begins with its run."""
    if run.names is None:
        return labels_of(points)
    arguments = dict(zip(run.names, _run_arguments(run), strict=True))
    return (points["run"].astype(str).map(arguments) + " " + labels_of(points)).rename("label")


def _run_arguments(run: Run) -> list[str]:
    """Return the runs as quoted shell arguments: relative paths inside the working directory, else full URIs."""
    arguments = []
    for directory in run.directories:
        uri = directory.uri
        if "://" not in uri and Path(uri).is_relative_to(Path.cwd()):
            uri = os.path.relpath(uri)
        arguments.append(shlex.quote(uri))
    return arguments


def _title(run: Run) -> str:
    if run.names is not None:
        return ", ".join(run.names)
    return str(run.sweep().get("name") or run.directory.uri.rstrip("/").rpartition("/")[2])
