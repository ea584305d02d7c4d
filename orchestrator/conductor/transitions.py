"""What the ledger means: pure decisions over its entries. Nothing here opens a file or asks the time."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from results.storage.ledger import Failure, LedgerEntry
from trials.config import LadderConfig, TrialConfig

EPOCHS_AT_FAILURE = "epochs_at_failure"
"""Under this key of ``LedgerEntry.extra``: how many epochs were done when each attempt failed."""


def new_entry(index: int, config: TrialConfig) -> LedgerEntry:
    """Return the entry of a trial that was just proposed."""
    return LedgerEntry(
        index=index, key=config.trial_key(), seed=config.seed, config=config.model_dump(mode="json")
    )


def unfinished(entries: Iterable[LedgerEntry], finished: Collection[str]) -> list[LedgerEntry]:
    """Return the entries that still have to be run, in the order of proposal."""
    waiting = [e for e in entries if e.state == "proposed" and e.key not in finished]
    return sorted(waiting, key=lambda entry: entry.index)


def with_ladder(entry: LedgerEntry, ladder: LadderConfig) -> LedgerEntry:
    """Return the entry with the ladder that the sweep has now; its key stays the same."""
    return entry.model_copy(update={"config": {**entry.config, "ladder": ladder.model_dump(mode="json")}})


def next_index(entries: Iterable[LedgerEntry]) -> int:
    """Return the index of the next proposal: one more than the largest ever used."""
    return max((entry.index for entry in entries), default=-1) + 1


def after_failure(entry: LedgerEntry, failure: Failure, epochs_done: int, retries: int) -> LedgerEntry:
    """Return the entry after a failed attempt: proposed again, or given up.

    An attempt that got past the epoch at which the one before it failed starts the count anew: a trial on a
    node that keeps dying goes on as long as it gets anywhere, one that fails at the same epoch does not.
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


def stopped(entry: LedgerEntry) -> LedgerEntry:
    """Return the entry of a trial that the scheduler stopped early."""
    return entry.model_copy(update={"state": "stopped"})


def infeasible(entry: LedgerEntry, reason: str) -> LedgerEntry:
    """Return the entry of a trial whose architecture breaks a constraint: it is not trained, and not run again."""
    return entry.model_copy(update={"state": "infeasible", "extra": {**entry.extra, "reason": reason}})


def revived(entry: LedgerEntry) -> LedgerEntry:
    """Return the entry of a failed trial that is tried again: its failures are kept, but forgiven."""
    extra = {name: value for name, value in entry.extra.items() if name != EPOCHS_AT_FAILURE}
    return entry.model_copy(update={"state": "proposed", "extra": extra})
