"""The record of a trial on storage: its progress rows and its newest checkpoint."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NotRequired, Protocol, TypedDict, cast

from results.errors import one_line
from results.record_types import JsonObject, ProgressRow, ProgressTap
from trials.checkpointing import checkpoint
from trials.checkpointing.checkpoint import State
from trials.config import TrialConfig
from trials.context import TrialContext
from trials.device.parallel import Mesh
from trials.errors import CheckpointError


class EpochColumns(TypedDict):
    """What a phase measures in one epoch: columns of the progress table, and ``images``, the number of images seen."""

    loss: float
    accuracy: float
    learning_rate: float
    images: int
    validation_loss: NotRequired[float]
    validation_accuracy: NotRequired[float]
    regularization_term: NotRequired[float]
    alpha_entropy: NotRequired[float]
    skip_share: NotRequired[float]
    expected_macs: NotRequired[float]
    effective_macs: NotRequired[float]
    genotype: NotRequired[str]
    taps: NotRequired[list[ProgressTap]]


class Phase(Protocol):
    """A phase of a trial, search or training: a number of epochs, and a state between any two of them.

    Attributes:
        name: of the phase, as in the progress table.
        stage: name of the phase in checkpoints: unlike ``name``, it differs between two fine-tunings of a trial.
        epochs: at most.
        stopped: the phase has ended early.
    """

    name: str
    stage: str
    epochs: int
    stopped: bool

    def run_epoch(self, epoch: int) -> EpochColumns:
        """Run epoch ``epoch`` (from 0) and return its measurements."""

    def state_dict(self) -> State:
        """Return everything that the next epoch depends on, besides the random state."""

    def load_state_dict(self, state: State) -> None:
        """Restore a state that :meth:`state_dict` returned."""


@dataclass
class Record:
    """The epochs of a trial so far, and the checkpoint that it resumes from.

    Attributes:
        fingerprint: of the images of the trial; None if unknown.
        state: the newest checkpoint when the record was opened; None for a trial that starts.
        rows: a progress row per epoch; times are ISO text, because checkpoints hold plain values only.
    """

    config: TrialConfig
    context: TrialContext
    mesh: Mesh
    fingerprint: str | None = None
    state: State | None = None
    rows: list[JsonObject] = field(default_factory=list)

    @staticmethod
    def open(
        config: TrialConfig, context: TrialContext, mesh: Mesh, fingerprint: str | None = None
    ) -> Record:
        """Read the newest checkpoint of the trial.

        Raises:
            CheckpointError: it belongs to another trial, or was trained on other images.
            TrialError: the ranks have read different checkpoints.
        """
        key = config.trial_key()
        state = checkpoint.newest(context.directory, key)
        if state is not None and state["trial_key"] != key:
            raise CheckpointError(f"a checkpoint must be of trial {key}, but got one of {state['trial_key']}")
        if state is not None and not same_images(state, fingerprint):
            raise CheckpointError(
                f"a trial must go on with its images, but they or their labels have changed: fingerprint "
                f"{fingerprint}, and {state['data']} at the last checkpoint"
            )
        mesh.require_agreement("checkpoint", lambda: str(state["step"] if state else 0).encode())
        return Record(config, context, mesh, fingerprint, state, state["rows"] if state else [])

    @property
    def position(self) -> int:
        """Position in ``TrialConfig.stages`` of the stage in which the trial was at its checkpoint; 0 in the search."""
        stage = "search" if self.state is None else str(self.state["phase"])
        return 0 if stage in ("search", "train") else 1 + int(stage.removeprefix("finetune-"))

    def restore(self, phase: Phase) -> int:
        """Restore ``phase`` from the checkpoint, if it is of that phase, and return the number of epochs done.

        Raises:
            CheckpointError: the checkpoint does not fit the networks of the trial.
        """
        state = self.state
        if state is None or state["phase"] != phase.stage:
            return 0
        try:
            phase.load_state_dict(state[phase.stage])
        except (RuntimeError, ValueError, KeyError) as error:
            raise CheckpointError(
                f"a checkpoint must fit the trial's network, but got: {one_line(error, 300)}"
            ) from error
        checkpoint.restore_random_state(state["random"])
        return int(state["epoch"])

    def add(
        self,
        phase: Phase,
        epoch: int,
        measured: EpochColumns,
        seconds: float,
        peak_bytes: int | None,
        before_report: Callable[[], None],
    ) -> None:
        """Record an epoch: store its progress row, then a checkpoint, then report the row.

        Args:
            phase: the phase, after the epoch.
            epoch: its number within the phase, from 0.
            measured: what :meth:`Phase.run_epoch` returned.
            seconds: wall time of the epoch.
            peak_bytes: peak GPU memory of the phase so far; None on the CPU.
            before_report: called when the epoch is on storage.
        """
        columns = {name: value for name, value in measured.items() if name != "images"}
        self.rows.append(
            {
                "trial_key": self.config.trial_key(),
                "trial_index": self.context.index,
                "seed": self.config.seed,
                "data_fingerprint": self.fingerprint,
                "step": len(self.rows) + 1,
                "phase": phase.name,
                "epoch": epoch + 1,
                "epochs": phase.epochs,
                "host": socket.gethostname(),
                "at": datetime.now(UTC).isoformat(),
                "peak_bytes": peak_bytes,
                "images_per_s": measured["images"] / seconds,
                "epoch_s": seconds,
                **columns,
            }
        )
        if self.context.rank:
            return
        self._write_progress()
        self._write_checkpoint(phase, epoch + 1)
        before_report()
        self.context.report(self.rows[-1])

    def add_shared(self, row: JsonObject) -> None:
        """Record an epoch that another trial has computed as an epoch of this trial: store its row, then report it."""
        self.rows.append(row | {"trial_key": self.config.trial_key(), "trial_index": self.context.index})
        if self.context.rank == 0:
            self._write_progress()
            self.context.report(self.rows[-1])

    def _write_progress(self) -> None:
        rows = [row | {"at": datetime.fromisoformat(row["at"])} for row in self.rows]
        self.context.directory.write_progress(self.config.trial_key(), cast(list[ProgressRow], rows))

    def _write_checkpoint(self, phase: Phase, epochs_done: int) -> None:
        key = self.config.trial_key()
        state = {
            "trial_key": key,
            "data": self.fingerprint,
            "phase": phase.stage,
            "epoch": epochs_done,
            "step": len(self.rows),
            "rows": self.rows,
            "random": checkpoint.random_state(),
            phase.stage: phase.state_dict(),
        }
        self.context.directory.write_checkpoint(key, len(self.rows), checkpoint.pack(state))

    def seconds(self, phase: str) -> float:
        """Return the wall time of all epochs of ``phase``, in seconds."""
        return float(sum(row["epoch_s"] for row in self.rows if row["phase"] == phase))

    def search_peak_bytes(self) -> int | None:
        """Return the peak GPU memory of the search; None if it was not measured."""
        peaks = [
            row["peak_bytes"]
            for row in self.rows
            if row["phase"] == "search" and row["peak_bytes"] is not None
        ]
        return max(peaks, default=None)


def same_images(state: State, fingerprint: str | None) -> bool:
    """Whether a checkpoint was trained on the images with ``fingerprint``, as far as both are known."""
    trained_on = state.get("data")
    return trained_on is None or fingerprint is None or trained_on == fingerprint
