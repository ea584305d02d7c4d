"""The tables of one run, or of several at once, as data frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from results.errors import ResultsError, unknown_column
from results.pareto.constraints import Constraint, feasible, parse_all
from results.pareto.objectives import Columns, column_list
from results.record_types import JsonObject
from results.schema import LABEL, POINTS, PROGRESS, column_of_path, paths_of
from results.storage.problems import Problem
from results.storage.run_directory import RunDirectory
from results.tables.data_sets import data_remarks
from results.tables.frames import to_frame, with_fields
from results.tables.trials import trials_table
from results.tables.where import where_mask

LONG_COLUMNS = ("taps", "correct")
"""Columns with many values a point. They are read only when asked for."""
DEFAULT_OBJECTIVES = {"accuracy": "max", "macs": "min", "memory_bytes": "min"}


class RunTables:
    """The tables of one run, or of several: then every data frame begins with a column ``run``."""

    def __init__(self, directories: Sequence[RunDirectory], names: Sequence[str] | None = None) -> None:
        self.directories = tuple(directories)
        self.names = tuple(names) if names is not None else None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(directory.uri for directory in self.directories)})"

    # --- the sweep ---

    def sweep(self) -> JsonObject:
        """Return the sweep of a single run as it was validated; empty if it was not stored."""
        return self.directory.read_sweep() or {}

    @property
    def directory(self) -> RunDirectory:
        """The directory of a single run.

        Raises:
            ResultsError: there are several runs.
        """
        if len(self.directories) != 1:
            raise ResultsError(f"this needs a single run, but got {len(self.directories)} runs")
        return self.directories[0]

    def objectives(self) -> dict[str, str]:
        """Return the objectives of the sweep file: {column: "max" or "min"}.

        Raises:
            ResultsError: the runs have different objectives.
        """
        found = [_objectives(directory) for directory in self.directories]
        if any(other != found[0] for other in found):
            raise ResultsError(f"runs of different objectives need maximize and minimize, but got {found}")
        return found[0]

    def reference(self) -> dict[str, float]:
        """Return the reference point of the sweep file, for some of the objectives; empty if the runs differ in it."""
        found = [dict(sweep.get("reference") or {}) for sweep in self._sweeps()]
        return found[0] if found and all(other == found[0] for other in found) else {}

    def constraints(self) -> tuple[Constraint, ...]:
        """Return the constraints of the sweep file.

        Raises:
            ResultsError: the runs have different constraints.
        """
        found = [sweep.get("constraints") or [] for sweep in self._sweeps()]
        if any(other != found[0] for other in found):
            raise ResultsError(
                f"runs of different constraints need maximize, minimize and where, but got {found}"
            )
        return parse_all(found[0])

    def swept(self) -> list[str]:
        """Return the dotted paths of the fields that differ between trials."""
        keys = [key for sweep in self._sweeps() for key in sweep.get("sweep") or {}]
        return list(dict.fromkeys(path for key in keys for path in paths_of(key)))

    def swept_on_log_scale(self) -> set[str]:
        """Return the columns of the fields that are swept over a range on a logarithmic scale."""
        return {
            column_of_path(path)
            for sweep in self._sweeps()
            for key, dimension in (sweep.get("sweep") or {}).items()
            if isinstance(dimension, dict) and dimension.get("log")
            for path in paths_of(key)
        }

    def _sweeps(self) -> list[JsonObject]:
        return [directory.read_sweep() or {} for directory in self.directories]

    # --- the tables ---

    def points(self, columns: Columns | None = None, *, where: str | None = None) -> pd.DataFrame:
        """Return one row a point (a trained network at a ladder rung), by trial_index and rung.

        Swept fields without a column of their own are added from the configuration: ``train.learning_rate`` becomes
        ``train_learning_rate``. The taps are left out, see ``taps``, and so is ``correct``. With ``columns`` only those
        are read, which is faster. ``where`` keeps the points for which an expression is true, see
        ``results.tables.where``.

        >>> run.points(["accuracy", "macs"], where="threshold == 0 and splitting == 4")
           accuracy  macs
        0      0.88   800
        1      0.85  1000

        Raises:
            UnknownColumnError: one of ``columns`` is no column.
            WhereError: ``where`` is not an expression over the columns.
        """
        swept = self.swept()
        if where is not None:
            everything = self.points()
            kept = everything[where_mask(everything, where)].reset_index(drop=True)
            names = None if columns is None else [column_of_path(name) for name in column_list(columns)]
            self._check_columns(names or (), list(everything.columns))
            return kept if names is None else kept[names]
        if columns is None:
            short = [name for name in POINTS.names if name not in LONG_COLUMNS]
            return with_fields(to_frame(self._points(short)), swept)
        names = [column_of_path(name) for name in column_list(columns)]
        computed = {column_of_path(path): path for path in swept if column_of_path(path) not in POINTS.names}
        self._check_columns(names, [*POINTS.names, *computed])
        paths = [computed[name] for name in names if name in computed]
        stored = _stored([*names, "config"] if paths else names, POINTS)
        return with_fields(to_frame(self._points(stored)), paths)[names]

    def measured_on(self) -> str:
        """Return which images ``accuracy`` and ``loss`` are of: ``validation`` or ``test``, or both for several runs.

        Points of schema version 1, and of trials with ``data.validation_share: 0``, have test images only.

        >>> run.measured_on()
        'test'
        """
        held_out = self.points("validation_images")["validation_images"].fillna(0) > 0
        kinds = [kind for kind, found in (("validation", held_out), ("test", ~held_out)) if found.any()]
        return " and ".join(kinds)

    def data_remarks(self) -> list[str]:
        """Return why the points of several runs may not be comparable, one line each: they are of other images.

        >>> run.data_remarks()
        []
        """
        return data_remarks(self.points(["run", "data", "data_fingerprint"])) if self.names else []

    def feasible_points(self) -> pd.DataFrame:
        """Return the points that satisfy the constraints of the sweep file.

        >>> len(run.feasible_points())
        12
        """
        points, constraints = self.points(), self.constraints()
        return points[feasible(points, constraints)].reset_index(drop=True) if constraints else points

    def taps(self) -> pd.DataFrame:
        """Return one row for each feature-map tap of each point.

        Columns: point, trial_key, rung, threshold, and the tap's name and measurements; ``tap_threshold`` is its own
        threshold.
        """
        table = self._points(["point", "trial_key", "rung", "threshold", "taps"])
        taps = table["taps"].combine_chunks()
        points = table.drop_columns(["taps"]).take(pc.list_parent_indices(taps))
        for field, values in zip(taps.type.value_type, taps.flatten().flatten(), strict=True):
            name = "tap_threshold" if field.name == "threshold" else field.name
            points = points.append_column(field.with_name(name), values)
        return to_frame(points)

    def progress(self, columns: Columns | None = None) -> pd.DataFrame:
        """Return one row an epoch, by trial_index and step.

        Raises:
            UnknownColumnError: one of ``columns`` is no column.
        """
        if columns is None:
            return to_frame(self._progress(PROGRESS.names))
        names = column_list(columns)
        self._check_columns(names, PROGRESS.names)
        return to_frame(self._progress(_stored(names, PROGRESS)))[list(names)]

    def trials(self) -> pd.DataFrame:
        """Return one row a trial, by index: state, epochs, failures and their reasons, and every swept field.

        ``state`` is one of ``results.states.STATES``.
        """
        table = self._joined(lambda directory: trials_table(directory, _objectives(directory)))
        return with_fields(to_frame(table), self.swept())

    def problems(self) -> list[Problem]:
        """Return the files that were broken or foreign when they were last read."""
        return [problem for directory in self.directories for problem in directory.problems()]

    def _check_columns(self, names: Iterable[str], known: Sequence[str]) -> None:
        for name in names:
            if name not in known and not (name == "run" and self.names):
                raise unknown_column(name, known)

    def _points(self, columns: Sequence[str]) -> pa.Table:
        return self._joined(lambda directory: directory.read_points(columns=columns))

    def _progress(self, columns: Sequence[str]) -> pa.Table:
        return self._joined(lambda directory: directory.read_progress(columns=columns))

    def _joined(self, read: Callable[[RunDirectory], pa.Table]) -> pa.Table:
        """Return the tables of all runs as one; runs with names get a first column ``run``."""
        tables = [read(directory) for directory in self.directories]
        if self.names is None:
            return tables[0]
        labelled = []
        for name, table in zip(self.names, tables, strict=True):
            codes = pa.array(np.zeros(len(table), dtype=np.int32))
            run = pa.DictionaryArray.from_arrays(codes, pa.array([name], pa.string()))
            labelled.append(table.add_column(0, pa.field("run", LABEL, nullable=False), run))
        return pa.concat_tables(labelled, promote_options="permissive")


def _objectives(directory: RunDirectory) -> dict[str, str]:
    stored = (directory.read_sweep() or {}).get("objectives")
    return dict(stored) if stored and isinstance(stored, dict) else DEFAULT_OBJECTIVES


def _stored(names: Iterable[str], schema: pa.Schema) -> list[str]:
    """Return the names that are columns of the schema; never none, because a table without columns has no rows."""
    return list(dict.fromkeys(name for name in names if name in schema.names)) or ["trial_key"]
