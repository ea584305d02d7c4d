"""One search for all trials that differ only in what follows the search.

The genotype does not depend on ``train``, on lambda (unless the search is regularized too) or on the taps, so S
splittings and L lambdas need S searches and S x L trainings. A finished search is stored as a checkpoint under its own
key. A trial that loads it records and reports the epochs as its own: only times and hosts are those of the trial that
searched.
"""

from __future__ import annotations

from search_space import Genotype
from trials.checkpointing import checkpoint
from trials.checkpointing.record import Record, same_images


def load(record: Record) -> Genotype | None:
    """Return the genotype of a finished search with the same key, and add its epochs to ``record``.

    None if there is no such search, if it saw other images, or if not all ranks can read it.
    """
    found = checkpoint.newest(record.context.directory, record.config.search_key())
    if found is not None and not same_images(found, record.fingerprint):
        found = None
    if not record.mesh.all_true(found is not None) or found is None:
        return None
    for row in found["rows"][len(record.rows) :]:
        record.add_shared(row)
    return Genotype.from_json(found["genotype"])


def store(record: Record, genotype: Genotype) -> None:
    """Store the finished search of ``record`` and its genotype for other trials."""
    if record.context.rank == 0:
        state = {"genotype": genotype.to_json(), "data": record.fingerprint, "rows": record.rows}
        record.context.directory.write_checkpoint(
            record.config.search_key(), len(record.rows), checkpoint.pack(state)
        )
