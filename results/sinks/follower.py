"""Copies a run to a sink, incrementally.

The files of the run are the record, and the sink is a copy: it can be filled while the sweep runs, afterwards, or both,
from any machine that can read the files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

import pyarrow as pa

from results.record_types import PointRow, ProgressRow, epochs_of
from results.schema import POINTS, PROGRESS
from results.sinks.sink import Scalar, Sink, TagStep, Trial
from results.storage.ledger import LedgerEntry
from results.storage.run_directory import RunDirectory, TrialVersion


def _numeric_columns(schema: pa.Schema, *, without: Iterable[str]) -> list[str]:
    excluded = set(without)
    return [
        column.name
        for column in schema
        if (pa.types.is_floating(column.type) or pa.types.is_integer(column.type))
        and column.name not in excluded
    ]


_IDS = {"trial_index", "seed", "step", "epoch", "epochs", "rung"}
_SETTINGS = {"cells", "channels", "nodes", "splitting", "width_growth", "network_cells", "network_channels"}
_SETTINGS |= {"search_epochs", "train_epochs", "finetune_epochs", "regularization"}
_OF_EPOCH = _numeric_columns(PROGRESS, without=_IDS)
_OF_POINT = _numeric_columns(POINTS, without=_IDS | _SETTINGS)
"""Columns that become scalars."""


class Follower:
    """Copies one run to one sink. Each ``step`` costs two listings, and reading the trials that have changed.

    Tags: ``search/loss``, ``train/accuracy``, ... over the epochs; ``points/accuracy``, ... over the rungs;
    ``final/accuracy``, ...: the first rung, at the last epoch.
    """

    def __init__(self, directory: RunDirectory, sink: Sink) -> None:
        self._directory = directory
        self._sink = sink
        self._versions: dict[str, TrialVersion] = {}
        self._trials: dict[str, Trial] = {}
        self._written: dict[str, set[TagStep]] = {}
        self._finished: set[str] = set()

    def step(self) -> int:
        """Copy what is new; return the number of scalars written. Errors of the sink and the storage are raised."""
        versions = self._directory.versions()
        changed = [key for key, version in versions.items() if self._versions.get(key) != version]
        return sum(self._copy(key, versions[key]) for key in changed)

    def finish(self) -> int:
        """Copy what is new, set the state of trials that ended without points, and close the sink."""
        try:
            written = self.step()
            for entry in self._directory.read_ledger():
                if entry.key not in self._finished and entry.state != "proposed":
                    self._begin(entry)
                    self._sink.finish(self._trials[entry.key], entry.state, entry.reason)
        finally:
            self._sink.close()
        return written

    def _copy(self, key: str, version: TrialVersion) -> int:
        epochs: list[ProgressRow] = self._directory.read_progress(key).to_pylist()
        points: list[PointRow] = self._directory.read_points(key).to_pylist()
        rows: Sequence[ProgressRow | PointRow] = epochs or points
        if not rows:
            return 0
        if key not in self._written:
            self._begin(self._entry(rows[0]))
        written, trial = self._written[key], self._trials[key]
        new = [scalar for scalar in _scalars(epochs, points) if scalar.tag_step not in written]
        if new:
            self._sink.write(trial, new)
            written |= {scalar.tag_step for scalar in new}
        if points:
            self._sink.finish(trial, "finished", None)
            self._finished.add(key)
            del self._written[key]  # saves memory; if the trial changes once more, the sink is asked again
        self._versions[key] = version
        return len(new)

    def _begin(self, entry: LedgerEntry) -> None:
        sweep = self._directory.read_sweep() or {}
        trial = Trial(
            entry.index,
            entry.key,
            sweep=str(sweep.get("name") or "sweep"),
            run=self._directory.uri,
            parameters=dict(_flat(entry.config)),
        )
        self._written[entry.key] = self._sink.begin(trial)
        self._trials[entry.key] = trial

    def _entry(self, row: ProgressRow | PointRow) -> LedgerEntry:
        """Return the ledger entry of a row's trial; one without configuration if it is lost."""
        entry = self._directory.read_entry(row["trial_index"])
        if entry is not None and entry.key == row["trial_key"]:
            return entry
        return LedgerEntry(index=row["trial_index"], key=row["trial_key"], seed=row["seed"], config={})


def _scalars(epochs: Sequence[ProgressRow], points: Sequence[PointRow]) -> Iterator[Scalar]:
    for epoch in epochs:
        yield from _of_row(epoch, _OF_EPOCH, epoch["phase"], epoch["step"], epoch["at"])
    for point in points:
        yield from _of_row(point, _OF_POINT, "points", point["rung"], point["finished_at"])
    for point in points[:1]:
        yield from _of_row(point, _OF_POINT, "final", epochs_of(point), point["finished_at"])


def _of_row(
    row: Mapping[str, object], names: Iterable[str], prefix: str, step: int, at: datetime
) -> Iterator[Scalar]:
    for name in names:
        value = row[name]
        if isinstance(value, (int, float)):  # else it is null
            yield Scalar(f"{prefix}/{name}", step, float(value), at.timestamp())


def _flat(config: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
