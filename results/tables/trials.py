"""One row a trial: its ledger entry joined with its progress and its points."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from results.record_types import JsonObject, PointRow, ProgressRow, TrialRow, epochs_of
from results.schema import POINTS, TRIALS
from results.states import UNUSABLE
from results.storage.ledger import LedgerEntry
from results.storage.parquet_files.rows import table_from_rows
from results.storage.run_directory import RunDirectory
from results.tables.evidence import Evidence

_PROGRESS = ["trial_key", "trial_index", "seed", "step", "phase", "epoch_s", "host", "at"]
_POINTS = [
    "trial_key",
    "trial_index",
    "seed",
    "rung",
    "config",
    "search_epochs",
    "train_epochs",
    "finetune_epochs",
]
_POINTS += ["search_s", "train_s", "host", "finished_at"]


@dataclass(frozen=True)
class _Last:
    """The last epoch of a trial, from its progress or, if it is finished, from its points."""

    index: int
    seed: int
    phase: str | None = None
    epochs_done: int = 0
    elapsed_s: float = 0.0
    host: str | None = None
    at: datetime | None = None
    points: int = 0
    config: str = "{}"


def trials_table(directory: RunDirectory, objectives: Iterable[str]) -> pa.Table:
    """Return the trials of a run, of the schema ``TRIALS``, by index.

    A trial whose ledger entry is missing or broken is listed if it has progress or points.

    Args:
        directory: the run.
        objectives: columns of the points that must be finite in one point of a finished trial.
    """
    objectives = [name for name in objectives if name in POINTS.names]  # not those of a later version
    entries = directory.read_ledger()
    points = directory.read_points(columns=list(dict.fromkeys([*_POINTS, *objectives])))
    last = _last_points(points)
    unfinished = directory.progress_keys() - last.keys()  # the points of finished trials tell the same
    last |= _last_epochs(directory.read_progress(unfinished, columns=_PROGRESS))
    evidence = Evidence.of(points, objectives, last.keys())
    listed = {entry.key for entry in entries}
    entries += [_lost_entry(key, last[key]) for key in last.keys() - listed]
    rows = [_row(entry, last.get(entry.key), evidence) for entry in entries]
    return table_from_rows(TRIALS, sorted(rows, key=lambda row: (row["trial_index"], row["trial_key"])))


def _row(entry: LedgerEntry, last: _Last | None, evidence: Evidence) -> TrialRow:
    last = last or _Last(entry.index, entry.seed)
    return {
        "trial_index": entry.index,
        "trial_key": entry.key,
        "seed": entry.seed,
        "state": evidence.state(entry),
        "phase": last.phase,
        "epochs_done": last.epochs_done,
        "epochs": configured_epochs(entry.config),
        "points": last.points,
        "attempts_failed": len(entry.failures),
        "reason": entry.reason or (UNUSABLE if entry.key in evidence.unusable else None),
        "failures": [str(failure) for failure in entry.failures],
        "config": json.dumps(entry.config, sort_keys=True, separators=(",", ":")),
        "elapsed_s": last.elapsed_s,
        "host": last.host,
        "last_at": last.at,
    }


def configured_epochs(config: JsonObject) -> int | None:
    """Return the configured epochs of all phases; None if the configuration does not have them.

    A trial with the search algorithm ``none`` does not search.
    """
    try:
        search = config["search"]
        searching = 0 if search.get("algorithm") == "none" else int(search["epochs"])
        finetune = config.get("finetune", {"epochs": 0, "path": []})  # older versions had none
        finetuning = int(finetune["epochs"]) * (1 + len(finetune["path"]))
        return searching + int(config["train"]["epochs"]) + finetuning
    except (KeyError, TypeError, ValueError):
        return None


def _last_epochs(progress: pa.Table) -> dict[str, _Last]:
    """Return the last epoch of each trial, with the wall time of all its epochs. Rows must be in order of steps."""
    last: dict[str, _Last] = {}
    rows: list[ProgressRow] = progress.to_pylist()
    for row in rows:
        key = row["trial_key"]
        elapsed_s = (last[key].elapsed_s if key in last else 0.0) + (row["epoch_s"] or 0.0)
        last[key] = _Last(
            row["trial_index"], row["seed"], row["phase"], row["step"], elapsed_s, row["host"], row["at"]
        )
    return last


def _last_points(points: pa.Table) -> dict[str, _Last]:
    """Return the last epoch of each trial that has points, as its first point tells it."""
    counts = {pair["values"]: pair["counts"] for pair in points["trial_key"].value_counts().to_pylist()}
    rows: list[PointRow] = points.filter(pc.equal(points["rung"], 0)).to_pylist()
    return {
        row["trial_key"]: _Last(
            index=row["trial_index"],
            seed=row["seed"],
            phase="finetune" if row["finetune_epochs"] else "train",
            epochs_done=epochs_of(row),
            elapsed_s=row["search_s"] + row["train_s"],
            host=row["host"],
            at=row["finished_at"],
            points=counts[row["trial_key"]],
            config=row["config"],
        )
        for row in rows
    }


def _lost_entry(key: str, last: _Last) -> LedgerEntry:
    """Return the entry of a trial that is missing in the ledger; without points its configuration is unknown."""
    return LedgerEntry(index=last.index, key=key, seed=last.seed, config=json.loads(last.config))
