"""Transitions of ledger entries: pure functions from entries to entries, without files or clocks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from orchestrator.schedulers.early_stopping import DECISIONS, Decision
from results.storage.ledger import Failure, LedgerEntry
from trials.config import LadderConfig, TrialConfig

EPOCHS_AT_FAILURE = "epochs_at_failure"
"""Key in ``LedgerEntry.extra``: the number of finished epochs at each failure."""


CONSTRAINTS = "constraints"
"""Key in ``LedgerEntry.extra``: the constraints of the sweep under which a trial was infeasible."""


def new_entry(index: int, config: TrialConfig) -> LedgerEntry:
    """Return the entry of a newly proposed trial."""
    return LedgerEntry(
        index=index, key=config.trial_key(), seed=config.seed, config=config.model_dump(mode="json")
    )


def unfinished(entries: Iterable[LedgerEntry], finished: Collection[str]) -> list[LedgerEntry]:
    """Return the entries that still have to run, in the order of proposal; ``finished`` holds trial keys."""
    waiting = [e for e in entries if e.state == "proposed" and e.key not in finished]
    return sorted(waiting, key=lambda entry: entry.index)


def with_ladder(entry: LedgerEntry, ladder: LadderConfig) -> LedgerEntry:
    """Return the entry with the sweep's current ladder. The key does not depend on the ladder."""
    return entry.model_copy(update={"config": {**entry.config, "ladder": ladder.model_dump(mode="json")}})


def next_index(entries: Iterable[LedgerEntry]) -> int:
    """Return the index of the next proposal: one more than the largest so far."""
    return max((entry.index for entry in entries), default=-1) + 1


def after_failure(entry: LedgerEntry, failure: Failure, epochs_done: int, retries: int) -> LedgerEntry:
    """Return the entry after a failed attempt: proposed again, or failed after too many.

    Only consecutive failures at the same epoch count. A trial on a node that keeps dying continues as long as it makes
    progress; a trial that always fails at the same epoch does not.
    """
    epochs = [*entry.extra.get(EPOCHS_AT_FAILURE, ()), epochs_done]
    in_a_row = 0
    for done in reversed(epochs):
        if done != epochs_done:
            break
        in_a_row += 1
    return entry.model_copy(
        update={
            "state": "failed" if in_a_row > retries else "proposed",
            "failures": [*entry.failures, failure],
            "extra": {**entry.extra, EPOCHS_AT_FAILURE: epochs},
        }
    )


def given_up(entry: LedgerEntry, failure: Failure) -> LedgerEntry:
    """Return the entry of a trial that failed in a way that no further attempt can change."""
    return entry.model_copy(update={"state": "failed", "failures": [*entry.failures, failure]})


def decided(entry: LedgerEntry, decision: Decision) -> LedgerEntry:
    """Return the entry of a trial on whose epoch the scheduler has decided: stopped early, or as it was."""
    others = [other for other in entry.extra.get(DECISIONS, ()) if other["epoch"] != decision.epoch]
    extra = {**entry.extra, DECISIONS: [*others, decision.to_json()]}
    return entry.model_copy(
        update={"state": entry.state if decision.continues else "stopped", "extra": extra}
    )


def infeasible(entry: LedgerEntry, reason: str, constraints: Sequence[str]) -> LedgerEntry:
    """Return the entry of a trial whose architecture violates one of the ``constraints``: it is not trained."""
    extra = {**entry.extra, "reason": reason, CONSTRAINTS: list(constraints)}
    return entry.model_copy(update={"state": "infeasible", "extra": extra})


def may_be_feasible(entry: LedgerEntry, constraints: Sequence[str]) -> bool:
    """Return whether a trial was infeasible under other constraints than these."""
    return entry.state == "infeasible" and entry.extra.get(CONSTRAINTS, constraints) != list(constraints)


def revived(entry: LedgerEntry) -> LedgerEntry:
    """Return the entry of a trial that is proposed again: its failures are kept, but no longer counted."""
    forgotten = (EPOCHS_AT_FAILURE, CONSTRAINTS, "reason")
    extra = {name: value for name, value in entry.extra.items() if name not in forgotten}
    return entry.model_copy(update={"state": "proposed", "extra": extra})
