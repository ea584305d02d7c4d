"""One search for all trials that differ only in their training: the first to finish it leaves it for the others.

The weight lambda (unless it takes part in the search), the taps and everything of ``train`` decide nothing before the
genotype is there, so S splittings and L lambdas need S searches and S x L trainings. A search is kept as a checkpoint
under its own key. What a trial takes over it records and reports epoch by epoch, so that its progress is the same as if
it had searched itself; only times and hosts are those of the trial that did.
"""

from __future__ import annotations

from search_space import Genotype
from trials.checkpointing import checkpoint
from trials.checkpointing.record import Record


def take_over(record: Record) -> Genotype | None:
    """Return what a finished search with the same key has found, its epochs now in ``record``; None: there is none."""
    found = checkpoint.newest(record.context.directory, record.config.search_key())
    if not record.mesh.all_say(found is not None) or found is None:
        return None
    for row in found["rows"][len(record.rows) :]:
        record.adopt(row)
    return Genotype.from_json(found["genotype"])


def leave(record: Record, genotype: Genotype) -> None:
    """Keep the search that ``record`` holds, and what it has found, for other trials."""
    if record.context.rank == 0:
        state = {"genotype": genotype.to_json(), "rows": record.rows}
        record.context.directory.write_checkpoint(
            record.config.search_key(), len(record.rows), checkpoint.pack(state)
        )
