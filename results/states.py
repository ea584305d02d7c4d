"""The states of a trial: declared in this file only, and derived by its function ``state_of`` only."""

from __future__ import annotations

from typing import Literal, get_args

TrialState = Literal["proposed", "running", "finished", "stopped", "infeasible", "failed"]

STATES: tuple[TrialState, ...] = get_args(TrialState)

MEANINGS: dict[TrialState, str] = {
    "proposed": "waiting",
    "running": "has progress on storage, but no points yet",
    "finished": "its points are on storage, and the objectives of one are finite",
    "stopped": "stopped early by the scheduler",
    "infeasible": "its architecture violates a constraint of the sweep",
    "failed": "given up after its last attempt, or no point has finite objectives",
}

SETTLED: tuple[TrialState, ...] = ("finished", "stopped", "infeasible", "failed")
"""States of trials that will not run again."""

LedgerState = Literal["proposed", "stopped", "infeasible", "failed"]
"""States in a ledger entry; ``running`` and ``finished`` follow from the progress and points on storage."""

UNUSABLE = "no point has finite objectives"
"""Why a trial with points has failed."""


def state_of(recorded: LedgerState, *, progress: bool, points: bool, usable: bool) -> TrialState:
    """Return the state of a trial.

    Args:
        recorded: in its ledger entry.
        progress: whether it has progress on storage, even if its process has died since.
        points: whether it has points on storage.
        usable: whether the objectives of one of its points are finite.
    """
    if usable:
        return "finished"
    if recorded != "proposed":
        return recorded
    if points:
        return "failed"
    return "running" if progress else "proposed"
