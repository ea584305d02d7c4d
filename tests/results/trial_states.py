"""Trials in every state, for tests."""

from __future__ import annotations

from typing import cast, get_args

from results import LedgerEntry, RunDirectory
from results.states import STATES, LedgerState, TrialState
from results.storage.ledger import Failure
from tests.results.rows import config_of, epoch_rows, key_of, point_rows

EPOCHS: dict[TrialState, int] = {
    "proposed": 0,
    "running": 3,
    "finished": 5,
    "stopped": 1,
    "infeasible": 2,
    "failed": 0,
}
"""Epochs on storage of a trial in each state, out of 5."""

REASONS: dict[TrialState, str | None] = {
    "proposed": None,
    "running": "node lost",
    "finished": "node lost",
    "stopped": None,
    "infeasible": "params must be at most 100, but got 200",
    "failed": "TrialError: loss is NaN",
}
"""Reason that the trials table shows for a trial in each state."""


def write_trial(directory: RunDirectory, index: int, state: TrialState) -> None:
    """Write the files of a trial in this state."""
    failures = []
    if state in ("running", "finished", "failed"):
        failures.append(Failure(message="node lost"))
    if state == "failed":
        failures.append(Failure(kind="TrialError", message="loss is NaN"))
    entry = LedgerEntry(
        index=index,
        key=key_of(index),
        seed=0,
        config=config_of(index),
        state=cast(LedgerState, state) if state in get_args(LedgerState) else "proposed",
        failures=failures,
        extra={"reason": REASONS[state]} if state == "infeasible" else {},
    )
    directory.write_entry(entry)
    if EPOCHS[state]:
        directory.write_progress(entry.key, epoch_rows(index, steps=EPOCHS[state]))
    if state == "finished":
        directory.write_points(entry.key, point_rows(index))


def write_every_state(directory: RunDirectory) -> None:
    """Write a trial for each state; its index is that of the state in ``STATES``."""
    directory.write_sweep({"name": "states"}, {})
    for index, state in enumerate(STATES):
        write_trial(directory, index, state)
