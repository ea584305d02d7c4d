"""The network after each stage of a trial: computed by one trial, used by all that go on from it.

It is stored as the network of the trial that ends after that stage, with its progress rows, whether or not the sweep
has such a trial. A trial that loads it records and reports the epochs as its own: only times and hosts are those of
the trial that computed them.
"""

from __future__ import annotations

from collections.abc import Sequence

from results import ResultsError
from trials.checkpointing import checkpoint
from trials.checkpointing.checkpoint import State
from trials.checkpointing.record import Record, same_images
from trials.config import TrialConfig
from trials.errors import CheckpointError


def load_last(record: Record, stages: Sequence[TrialConfig]) -> tuple[int, State] | None:
    """Return the last stage whose network is stored, and that network; add its epochs to ``record``.

    Args:
        record: of the trial.
        stages: ``TrialConfig.stages`` of the trial.

    Returns:
        Position in ``stages`` and stored state. None if no network is stored that is further than the checkpoint of
        the trial, saw the same images, and can be read by all ranks.
    """
    for position in range(len(stages) - 1, record.position - 1, -1):
        found = _read(record, stages[position].trial_key())
        if record.mesh.all_true(found is not None) and found is not None:
            for row in found["rows"][len(record.rows) :]:
                record.add_shared(row)
            return position, found
    return None


def store(record: Record, stage: TrialConfig, network: State) -> None:
    """Store the network of ``record`` after ``stage``."""
    if record.context.rank == 0:
        state = checkpoint.pack({**network, "data": record.fingerprint, "rows": record.rows})
        record.context.directory.write_network(stage.trial_key(), state)


def _read(record: Record, key: str) -> State | None:
    try:
        found = checkpoint.unpack(record.context.directory.read_network(key))
    except (ResultsError, CheckpointError):
        return None
    # Networks of version 0.1 have no rows.
    return found if "rows" in found and same_images(found, record.fingerprint) else None
