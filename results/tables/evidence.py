"""What the files of a run say about its trials, besides the ledger."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from results.states import TrialState, state_of
from results.storage.ledger import LedgerEntry


@dataclass(frozen=True)
class Evidence:
    """Keys of trials by what is on storage of them."""

    usable: set[str]
    """Trials with a point whose objectives are all finite."""
    unusable: set[str]
    """Trials with points, none of which is usable."""
    progress: set[str] = field(default_factory=set)
    """Trials with progress; may be left out where it makes no difference whether a trial has begun."""

    @classmethod
    def of(cls, points: pa.Table, objectives: Iterable[str], progress: Iterable[str] = ()) -> Evidence:
        """Return the evidence of a run.

        Args:
            points: the points of all trials, with the columns ``trial_key`` and ``objectives``.
            objectives: the objectives of the sweep; null is not finite.
            progress: keys of the trials that have progress.
        """
        finite = points
        for name in objectives:
            finite = finite.filter(pc.is_finite(finite[name]))
        usable = set(pc.unique(finite["trial_key"]).to_pylist())
        return cls(usable, set(pc.unique(points["trial_key"]).to_pylist()) - usable, set(progress))

    def state(self, entry: LedgerEntry) -> TrialState:
        """Return the state of a trial."""
        usable = entry.key in self.usable
        return state_of(
            entry.state,
            progress=entry.key in self.progress,
            points=usable or entry.key in self.unusable,
            usable=usable,
        )
