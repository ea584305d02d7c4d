"""The fine-tuning phase: the trained network goes on training, pruned and quantized as the ladder will do it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

from typing_extensions import override

from results.record_types import ProgressTap
from search_space import Network
from search_space.feature_map import listening
from trials.checkpointing.record import EpochColumns
from trials.config import Rung, TrialConfig
from trials.data.batches import Batch, Batches
from trials.data.image_set import Images
from trials.device.compute import Compute
from trials.device.graph import ReplayedStep
from trials.device.parallel import Mesh
from trials.feature_maps.quantization import OFF
from trials.finetune.straight_through import quantized_weights, straight_through
from trials.ladder.preparation import Preparation
from trials.ladder.tap_filter import TapFilter
from trials.train.training import Course, Training


class Finetuning(Training):
    """A fine-tuning of a trial. Its state is the network and its optimizer, as that of the training.

    Ranges and mean magnitudes of the maps are measured on ``calibration`` before every epoch. Accuracy, sparsity and
    effective macs of an epoch are those of the pruned and quantized network.

    Args:
        config: the trial that ends after this phase: one of its ``stages``.
        network: the network to go on with; it is trained in place.
        images: training and test images; only the training images are used.
        compute: device and precision.
        mesh: the ranks of the trial.
        calibration: batches of training images without augmentation.
    """

    name = "finetune"

    def __init__(
        self,
        config: TrialConfig,
        network: Network,
        images: Images,
        compute: Compute,
        mesh: Mesh,
        calibration: Sequence[Batch],
    ) -> None:
        finetune, maps = config.finetune, config.feature_maps
        self.stage = f"finetune-{len(finetune.path)}"
        self._calibration = calibration
        course = Course(
            finetune.epochs,
            finetune.learning_rate,
            maps.regularization if finetune.regularization is None else finetune.regularization,
            epochs_before=config.train.epochs + finetune.epochs * len(finetune.path),
        )
        self._prepare(config, network, images, compute, mesh, course)
        if finetune.weight_bits != OFF:  # quantizing weights reads back whether they are finite
            self.step = ReplayedStep(self._step, record=False)

    @override
    def run_epoch(self, epoch: int) -> EpochColumns:
        filters = self._filters()
        if filters:
            self.step.forget()  # a recorded step holds the ranges of the last epoch
        listeners = {name: straight_through(filter_.apply) for name, filter_ in filters.items()}
        with listening(self.network, listeners):
            return super().run_epoch(epoch)

    def _filters(self) -> dict[str, TapFilter]:
        """Return what prunes and quantizes the map of each tap; nothing if no map changes."""
        finetune = self.config.finetune
        if not finetune.threshold and finetune.feature_map_bits == OFF:
            return {}
        rung = Rung(
            threshold=finetune.threshold,
            threshold_mode=finetune.threshold_mode,
            weight_bits=finetune.weight_bits,
            feature_map_bits=finetune.feature_map_bits,
            codec="none",
            calibration=finetune.calibration,
        )
        with self._quantized():
            return Preparation(self.network, self._calibration, self.compute).filters(rung)

    def _quantized(self) -> AbstractContextManager[None]:
        finetune = self.config.finetune
        return quantized_weights(self.network, finetune.weight_bits, finetune.calibration)

    @override
    def _backward(self) -> None:
        with self._quantized():
            super()._backward()

    @override
    def _validate(self, batches: Batches) -> tuple[float, float]:
        with self._quantized():
            return super()._validate(batches)

    @override
    def _measure_taps(self) -> tuple[list[ProgressTap], float]:
        with self._quantized():
            return super()._measure_taps()
