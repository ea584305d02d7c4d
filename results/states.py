"""The states of a trial, declared in this file only."""

from __future__ import annotations

from typing import Literal, get_args

TrialState = Literal["proposed", "running", "finished", "stopped", "infeasible", "failed"]

STATES: tuple[TrialState, ...] = get_args(TrialState)

MEANINGS: dict[TrialState, str] = {
    "proposed": "waiting",
    "running": "has progress on storage, but no points yet",
    "finished": "its points are on storage",
    "stopped": "stopped early by the scheduler",
    "infeasible": "its architecture violates a constraint of the sweep",
    "failed": "given up after its last attempt",
}

SETTLED: tuple[TrialState, ...] = ("finished", "stopped", "infeasible", "failed")
"""States of trials that will not run again."""

LedgerState = Literal["proposed", "stopped", "infeasible", "failed"]
"""States in a ledger entry; ``running`` and ``finished`` follow from the progress and points on storage."""
