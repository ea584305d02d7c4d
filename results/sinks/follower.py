"""Bringing what a run has on storage to a sink, and only what the sink lacks.

The run's files are the record, a sink is a copy: it can be filled while the sweep runs, afterwards, or both, and
from any machine that sees the files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import pyarrow as pa

from results.schema import POINTS, PROGRESS
from results.storage.ledger import LedgerEntry
from results.storage.run_directory import RunDirectory


class Scalar(NamedTuple):
    """One number of a trial, named by ``tag`` and ``step``; ``at`` is seconds since 1970."""

    tag: str
    step: int
    value: float
    at: float


@dataclass(frozen=True)
class Trial:
    """A trial as a sink sees it."""

    index: int
    key: str
    sweep: str
    run: str
    """Where the run is kept: a path or a URI."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Every field of the configuration by its dotted path."""


class Sink(Protocol):
    """A copy of a run for other tools. Each method may raise whatever its tool raises."""

    def begin(self, trial: Trial) -> set[tuple[str, int]]:
        """Make the trial known, if it is not, and return the (tag, step) that it has."""

    def write(self, trial: Trial, scalars: Sequence[Scalar]) -> None:
        """Add numbers, none of which the sink has."""

    def finish(self, trial: Trial, state: str, reason: str | None) -> None:
        """Say what became of the trial: ``finished``, ``failed`` or ``stopped``. May come twice."""

    def close(self) -> None:
        """Let go of what is open."""


def _numbers(schema: Any, without: Iterable[str]) -> list[str]:
    kinds = (pa.types.is_floating, pa.types.is_integer)
    names = [column.name for column in schema if any(is_kind(column.type) for is_kind in kinds)]
    return [name for name in names if name not in set(without)]


_EPOCH = _numbers(PROGRESS, ["trial_index", "seed", "step", "epoch", "epochs"])
_POINT = _numbers(POINTS, ["trial_index", "rung", "seed"])
_CONFIGURED = {"cells", "channels", "nodes", "splitting", "width_growth", "network_cells", "network_channels"}
_CONFIGURED |= {"search_epochs", "train_epochs", "regularization"}
_MEASURED = [name for name in _POINT if name not in _CONFIGURED]


class Follower:
    """Follows one run into one sink. Each ``step`` costs two listings, and reading what changed since the last.

    Tags are ``search/loss``, ``train/accuracy``, ... by the trial's epochs; ``points/accuracy``, ... by the rung;
    and ``final/accuracy``, ...: the first rung, at the last epoch.
    """

    def __init__(self, directory: RunDirectory, sink: Sink) -> None:
        self._directory = directory
        self._sink = sink
        self._versions: dict[str, Any] = {}
        self._trials: dict[str, Trial] = {}
        self._known: dict[str, set[tuple[str, int]]] = {}
        self._over: set[str] = set()

    def step(self) -> int:
        """Bring what is new to the sink; return how many numbers. Errors: those of the sink and of the storage."""
        versions = self._directory.versions()
        changed = [key for key, version in versions.items() if self._versions.get(key) != version]
        return sum(self._follow(key, versions[key]) for key in changed)

    def finish(self) -> int:
        """As ``step``, and tell the sink of trials that were given up or stopped."""
        try:
            written = self.step()
            for entry in self._directory.read_ledger():
                if entry.key not in self._over and entry.state != "proposed":
                    self._begin(entry)
                    self._sink.finish(self._trials[entry.key], entry.state, entry.reason)
        finally:
            self._sink.close()
        return written

    def _follow(self, key: str, version: Any) -> int:
        epochs = self._directory.read_progress(key).to_pylist()
        points = self._directory.read_points(key).to_pylist()
        rows = epochs or points
        if not rows:
            return 0
        if key not in self._known:
            self._begin(self._entry(rows[0]))
        known, trial = self._known[key], self._trials[key]
        new = [scalar for scalar in _scalars(epochs, points) if scalar[:2] not in known]
        if new:
            self._sink.write(trial, new)
            known |= {scalar[:2] for scalar in new}
        if points:
            self._sink.finish(trial, "finished", None)
            self._over.add(key)
            del self._known[
                key
            ]  # a long sweep holds many trials; one that changes once more is asked for again
        self._versions[key] = version
        return len(new)

    def _begin(self, entry: LedgerEntry) -> None:
        sweep = self._directory.read_sweep() or {}
        trial = Trial(
            entry.index,
            entry.key,
            str(sweep.get("name") or "sweep"),
            self._directory.uri,
            dict(_flat(entry.config)),
        )
        self._known[entry.key] = self._sink.begin(trial)
        self._trials[entry.key] = trial

    def _entry(self, row: Mapping[str, Any]) -> LedgerEntry:
        found = self._directory.read_entry(row["trial_index"])
        if found is not None and found.key == row["trial_key"]:
            return found
        return LedgerEntry(index=row["trial_index"], key=row["trial_key"], seed=row["seed"], config={})


def _scalars(epochs: Sequence[Mapping[str, Any]], points: Sequence[Mapping[str, Any]]) -> Iterator[Scalar]:
    for row in epochs:
        yield from _row(row, _EPOCH, row["phase"], row["step"], row["at"])
    for row in points:
        yield from _row(row, _MEASURED, "points", row["rung"], row["finished_at"])
    for row in points[:1]:
        last = row["search_epochs"] + row["train_epochs"]
        yield from _row(row, _MEASURED, "final", last, row["finished_at"])


def _row(row: Mapping[str, Any], names: Iterable[str], prefix: str, step: int, at: Any) -> Iterator[Scalar]:
    for name in names:
        if row[name] is not None:
            yield Scalar(f"{prefix}/{name}", step, float(row[name]), at.timestamp())


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
