"""The states of a trial: declared here, listed nowhere else."""

from __future__ import annotations

from typing import Literal, get_args

TrialState = Literal["proposed", "running", "finished", "stopped", "infeasible", "failed"]

MEANINGS: dict[TrialState, str] = {
    "proposed": "waiting",
    "running": "it has left progress, and no points yet",
    "finished": "its points are on storage",
    "stopped": "stopped early by the scheduler",
    "infeasible": "its architecture breaks a constraint of the sweep",
    "failed": "given up after its last attempt",
}

STATES: tuple[TrialState, ...] = get_args(TrialState)

SETTLED: tuple[TrialState, ...] = ("finished", "stopped", "infeasible", "failed")
"""States of trials that need nothing more."""

LedgerState = Literal["proposed", "stopped", "infeasible", "failed"]
"""States that a ledger entry holds; ``running`` and ``finished`` follow from what the trial has left on storage."""
