"""One row a trial: the ledger joined with what the trials have left on storage."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pyarrow.compute as pc

from results.schema import TRIALS
from results.states import TrialState
from results.storage.ledger import LedgerEntry
from results.storage.rows import table_from_rows
from results.storage.run_directory import RunDirectory

_PROGRESS = ["trial_key", "trial_index", "seed", "step", "phase", "epoch_s", "host", "at"]
_POINTS = ["trial_key", "trial_index", "seed", "rung", "config", "search_epochs", "train_epochs"]
_POINTS += ["search_s", "train_s", "host", "finished_at"]


def trials_table(directory: RunDirectory) -> Any:
    """Return the trials of a run by index, a ``pa.Table`` of the schema ``TRIALS``.

    A trial is ``finished`` when it has points; else ``failed``, ``stopped`` or ``infeasible`` if the ledger says
    so; else ``running`` when it has progress (even if the process that ran it is dead: look at ``last_at``); else
    ``proposed``. A trial whose ledger entry is missing or broken is there if it has left points or progress.
    """
    entries = directory.read_ledger()
    points = _ladders(directory.read_points(columns=_POINTS))
    unfinished = directory.progress_keys() - points.keys()  # of the finished ones the points tell all
    progress = _last_epochs(directory.read_progress(unfinished, columns=_PROGRESS))
    rows = [_row(entry, progress.get(entry.key), points.get(entry.key)) for entry in entries]
    known = {entry.key for entry in entries}
    for key in (progress.keys() | points.keys()) - known:
        epoch, ladder = progress.get(key), points.get(key)
        rows.append(_row(_unlisted(key, epoch, ladder), epoch, ladder))
    return table_from_rows(TRIALS, sorted(rows, key=lambda row: (row["trial_index"], row["trial_key"])))


def _row(entry: LedgerEntry, epoch: dict[str, Any] | None, ladder: dict[str, Any] | None) -> dict[str, Any]:
    last = _end(ladder) if ladder is not None else epoch or {}
    return {
        "trial_index": entry.index,
        "trial_key": entry.key,
        "seed": entry.seed,
        "state": _state(entry, epoch is not None, ladder is not None),
        "phase": last.get("phase"),
        "epochs_done": last.get("step", 0),
        "epochs": _epochs(entry.config),
        "points": ladder["points"] if ladder else 0,
        "attempts_failed": len(entry.failures),
        "reason": entry.reason,
        "failures": [str(failure) for failure in entry.failures],
        "config": json.dumps(entry.config, sort_keys=True, separators=(",", ":")),
        "elapsed_s": last.get("elapsed_s", 0.0),
        "host": last.get("host"),
        "last_at": last.get("at"),
    }


def _end(ladder: Mapping[str, Any]) -> dict[str, Any]:
    """Return the last epoch of a finished trial, as its points tell it."""
    return {
        "phase": "train",
        "step": ladder["search_epochs"] + ladder["train_epochs"],
        "elapsed_s": ladder["search_s"] + ladder["train_s"],
        "host": ladder["host"],
        "at": ladder["finished_at"],
    }


def _state(entry: LedgerEntry, has_progress: bool, has_points: bool) -> TrialState:
    if has_points:
        return "finished"
    if entry.state != "proposed":
        return entry.state
    return "running" if has_progress else "proposed"


def _epochs(config: Mapping[str, Any]) -> int | None:
    try:
        return int(config["search"]["epochs"]) + int(config["train"]["epochs"])
    except (KeyError, TypeError, ValueError):
        return None


def _last_epochs(table: Any) -> dict[str, dict[str, Any]]:
    """Return the last epoch of each trial, with the wall time of all. The table is in order of steps."""
    last: dict[str, dict[str, Any]] = {}
    for row in table.to_pylist():
        elapsed = last.get(row["trial_key"], {}).get("elapsed_s", 0.0) + (row["epoch_s"] or 0.0)
        last[row["trial_key"]] = {**row, "elapsed_s": elapsed}
    return last


def _ladders(table: Any) -> dict[str, dict[str, Any]]:
    """Return the first point of each trial, with the number of its points."""
    counts = {pair["values"]: pair["counts"] for pair in table["trial_key"].value_counts().to_pylist()}
    firsts: dict[str, dict[str, Any]] = {}
    for row in table.filter(pc.equal(table["rung"], 0)).to_pylist():
        firsts[row["trial_key"]] = {**row, "points": counts[row["trial_key"]]}
    return firsts


def _unlisted(key: str, epoch: Mapping[str, Any] | None, ladder: Mapping[str, Any] | None) -> LedgerEntry:
    """Return the entry of a trial that the ledger does not hold, from what the trial has left."""
    row = ladder or epoch or {}
    config = json.loads(ladder["config"]) if ladder else {}
    return LedgerEntry(index=row["trial_index"], key=key, seed=row["seed"], config=config)
