"""What a trial has done so far, on storage: its progress rows and the state that it continues from."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from results import RunDirectory
from results.pareto.constraints import Constraint
from trials.checkpointing import checkpoint
from trials.config import TrialConfig
from trials.device.parallel import Mesh
from trials.errors import CheckpointError


class Phase(Protocol):
    """Search or training: epochs that can be run one by one, and a state between any two of them."""

    name: str
    epochs: int
    stopped: bool

    def run_epoch(self, epoch: int) -> dict[str, Any]:
        """Run epoch ``epoch`` (from 0) and return its progress columns, and ``images``: how many it saw."""

    def state_dict(self) -> dict[str, Any]:
        """Return all that the next epoch depends on, as plain tensors, numbers, text and lists."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what :meth:`state_dict` returned."""


def _silent(row: dict[str, Any]) -> None:
    """Report to nobody."""


@dataclass(frozen=True)
class TrialContext:
    """What a trial needs to know of the world.

    Attributes:
        directory: the run's record.
        index: the trial's place in the ledger.
        sweep: the sweep's name.
        report: called by rank 0 with the progress row, once an epoch, when the epoch is on storage; may raise to
            stop the trial.
        constraints: bounds of the sweep; those on what an architecture costs are checked before it is trained.
        rank, world_size, address: this worker among the trial's workers, and where they meet (``tcp://host:port``).
    """

    directory: RunDirectory
    index: int
    sweep: str
    report: Callable[[dict[str, Any]], None] = _silent
    rank: int = 0
    world_size: int = 1
    address: str | None = None
    constraints: tuple[Constraint, ...] = ()


@dataclass
class Record:
    """What the trial has done so far: its progress rows and the state it continues from."""

    config: TrialConfig
    context: TrialContext
    mesh: Mesh
    state: dict[str, Any] | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)

    @staticmethod
    def open(config: TrialConfig, context: TrialContext, mesh: Mesh) -> Record:
        """Take up the newest state of the trial; all ranks read the same one.

        Raises CheckpointError for a state of another trial.
        """
        key = config.trial_key()
        state = checkpoint.newest(context.directory, key)
        if state is not None and state["trial_key"] != key:
            raise CheckpointError(f"a checkpoint must be of trial {key}, but got one of {state['trial_key']}")
        mesh.require_agreement("checkpoint", lambda: str(state["step"] if state else 0).encode())
        return Record(config, context, mesh, state, state["rows"] if state else [])

    def restore(self, phase: Phase) -> int:
        """Bring ``phase`` to where the record left it and return how many of its epochs are done.

        Raises CheckpointError for a state that does not fit.
        """
        if self.state is None or self.state["phase"] != phase.name:
            return 0
        try:
            phase.load_state_dict(self.state[phase.name])
        except (RuntimeError, ValueError, KeyError) as error:
            line = " ".join(str(error).split())[:300]
            raise CheckpointError(f"a checkpoint must fit the trial's network, but got: {line}") from error
        checkpoint.restore_random_state(self.state["random"])
        return int(self.state["epoch"])

    def add(self, phase: Phase, epoch: int, measured: dict[str, Any], peak: int | None) -> None:
        """Write one epoch (from 0) to storage: progress, then checkpoint; then report it."""
        images = measured.pop("images")
        self.rows.append(
            {
                "trial_key": self.config.trial_key(),
                "trial_index": self.context.index,
                "seed": self.config.seed,
                "step": len(self.rows) + 1,
                "phase": phase.name,
                "epoch": epoch + 1,
                "epochs": phase.epochs,
                "host": socket.gethostname(),
                "at": datetime.now(UTC).isoformat(),
                "peak_bytes": peak,
                "images_per_s": images / measured["epoch_s"],
                **measured,
            }
        )
        if self.context.rank:
            return
        self._write_progress()
        key = self.config.trial_key()
        state = {
            "trial_key": key,
            "phase": phase.name,
            "epoch": epoch + 1,
            "step": len(self.rows),
            "rows": self.rows,
            "random": checkpoint.random_state(),
            phase.name: phase.state_dict(),
        }
        self.context.directory.write_checkpoint(key, len(self.rows), checkpoint.pack(state))
        self.context.report(self.rows[-1])

    def adopt(self, row: dict[str, Any]) -> None:
        """Take over an epoch of another trial: write it to storage as one of this trial; then report it."""
        own = {"trial_key": self.config.trial_key(), "trial_index": self.context.index}
        self.rows.append(row | own)
        if self.context.rank == 0:
            self._write_progress()
            self.context.report(self.rows[-1])

    def _write_progress(self) -> None:
        rows = [row | {"at": datetime.fromisoformat(row["at"])} for row in self.rows]
        self.context.directory.write_progress(self.config.trial_key(), rows)

    def seconds(self, phase: str) -> float:
        """Return the wall time of the epochs of ``phase``."""
        return float(sum(row["epoch_s"] for row in self.rows if row["phase"] == phase))

    def search_peak_bytes(self) -> int | None:
        """Return the accelerator's peak in the search; None where none was measured."""
        peaks = [
            row["peak_bytes"]
            for row in self.rows
            if row["phase"] == "search" and row["peak_bytes"] is not None
        ]
        return max(peaks, default=None)
