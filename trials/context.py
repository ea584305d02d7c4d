"""The surroundings of a trial. Imports no torch: a process that only hands a trial on stays small."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from results import RunDirectory
from results.pareto.constraints import Constraint
from results.record_types import JsonObject

Report = Callable[[JsonObject], None]
"""Receives the progress row of an epoch."""


def _ignore(row: JsonObject) -> None:
    """Do not report."""


@dataclass(frozen=True)
class TrialContext:
    """The surroundings of a trial: where it is stored, whom it reports to, and the ranks it runs on.

    Attributes:
        directory: the run directory.
        index: index of the trial in the ledger.
        sweep: name of the sweep.
        report: called by rank 0 after every epoch, once the progress row and the checkpoint are on storage. It may
            raise an exception to stop the trial.
        rank, world_size, address: this rank, the number of ranks, and where they meet (see
            ``trials.device.rendezvous``).
        constraints: of the sweep. Those on macs, flops and params are checked before the network is trained.
    """

    directory: RunDirectory
    index: int
    sweep: str
    report: Report = _ignore
    rank: int = 0
    world_size: int = 1
    address: str | None = None
    constraints: tuple[Constraint, ...] = ()
