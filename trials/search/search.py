"""The search phase: bilevel optimization of the supernet.

In every step, the alphas descend the loss on one half of the training images, then the weights descend the loss on the
other half.
"""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor
from typing_extensions import override

from results.record_types import ProgressTap
from search_space import Genotype, Supernet
from search_space.feature_map import listening
from search_space.normalization import share_statistics
from trials.checkpointing.checkpoint import State
from trials.checkpointing.record import EpochColumns, Phase
from trials.config import SearchConfig, TrialConfig
from trials.data.augmentation import Augmentation
from trials.data.batches import Batch, Batches, split_halves
from trials.data.image_set import Images
from trials.data.seeds import Purpose, seed_of
from trials.data.static_batch import StaticBatch
from trials.device.compute import Compute
from trials.device.gradient_buckets import GradientBuckets
from trials.device.graph import ReplayedStep, can_record
from trials.device.parallel import Mesh
from trials.feature_maps.regularization import Regularizer, TapStatistics
from trials.search.darts import AlphaStep, FirstOrder, SearchAlgorithm, frozen
from trials.search.darts_second_order import SecondOrder
from trials.search.expected_macs import ExpectedMacs
from trials.search.pc_darts import PartialChannels
from trials.train.objective import Meter, Objective
from trials.train.optimizers import adam, cosine, load_state, rate_of, set_rate, sgd

ALGORITHMS: dict[str, type[SearchAlgorithm]] = {
    "darts": FirstOrder,
    "darts_second_order": SecondOrder,
    "pc_darts": PartialChannels,
}


class Search(Phase):
    """The search phase of a trial. Its state is the supernet with its alphas, and both optimizers.

    Args:
        config: the trial.
        images: training and test images; only the training images are used.
        compute: device and precision.
        mesh: the ranks of the trial.
    """

    name = stage = "search"

    def __init__(self, config: TrialConfig, images: Images, compute: Compute, mesh: Mesh) -> None:
        self.config, self.compute, self.mesh = config, compute, mesh
        self.settings: SearchConfig = config.search
        self.epochs = self.settings.epochs
        self.stopped = False
        self.algorithm = ALGORITHMS[self.settings.algorithm]()
        self.supernet = build_supernet(config, images)
        compute.place(self.supernet)
        if config.device.sync_batch_norm:
            share_statistics(self.supernet, mesh.group)
        self.weight_optimizer = sgd(
            self.supernet.weight_parameters(),
            compute.device,
            self.settings.learning_rate,
            momentum=self.settings.momentum,
            weight_decay=self.settings.weight_decay,
        )
        self.alpha_optimizer = adam(
            self.supernet.architecture_parameters(),
            compute.device,
            self.settings.alpha_learning_rate,
            weight_decay=self.settings.alpha_weight_decay,
        )
        maps = config.feature_maps
        regularized = maps.regularization > 0 and (maps.in_search or self.settings.regularize_alphas)
        self.regularizer = Regularizer.of(self.supernet, maps) if regularized else None
        shared = (self.supernet, compute, self.regularizer)
        self.weight_loss = Objective(*shared, maps.regularization if maps.in_search else 0.0)
        self.alpha_loss = Objective(*shared, maps.regularization if self.settings.regularize_alphas else 0.0)
        self.weight_gradients = GradientBuckets(self.supernet.weight_parameters(), mesh)
        self.expected_macs = ExpectedMacs(self.supernet, images.shape)
        self.training_batches, self.validation_batches = self._split_batches(images)
        self.training_batch, self.validation_batch = (
            StaticBatch(self.training_batches),
            StaticBatch(self.validation_batches),
        )
        self.training_meter, self.validation_meter = Meter(compute.device), Meter(compute.device)
        record = can_record(compute, mesh)
        self.step = ReplayedStep(self._step, record=record)
        self.warmup_step = ReplayedStep(self._warmup_step, record=record)

    def _split_batches(self, images: Images) -> tuple[Batches, Batches]:
        """Return batches of the two halves of the training images: for the weights, and for the alphas."""
        seed, data = self.config.seed, self.config.data
        augmentation = Augmentation.of(data)
        first, second = split_halves(len(images.train), seed)

        def batches(indices: Tensor, seed: int) -> Batches:
            return Batches(
                images.train,
                indices,
                batch_size=self.mesh.batch_size(data.batch_size, len(indices)),
                seed=seed,
                rank=self.mesh.rank,
                world_size=self.mesh.world_size,
                augmentation=augmentation,
                drop_last=True,
                shuffle=True,
                dtype=self.compute.dtype,
            )

        purposes = (Purpose.SEARCH_WEIGHTS, Purpose.SEARCH_ALPHAS)
        of_weights, of_alphas = (seed_of(seed, purpose, self.config.streams) for purpose in purposes)
        return batches(first, of_weights), batches(second, of_alphas)

    @override
    def run_epoch(self, epoch: int) -> EpochColumns:
        self.supernet.train()
        rate = cosine(self.settings.learning_rate, self.settings.learning_rate_min, epoch, self.epochs)
        set_rate(self.weight_optimizer, rate)
        self.training_meter.clear()
        self.validation_meter.clear()
        warmup = epoch < self.settings.alpha_warmup_epochs
        step = self.warmup_step if warmup else self.step
        batches = zip(self.training_batches.raw(epoch), self.validation_batches.raw(epoch), strict=False)
        with self.regularizer.collecting() if self.regularizer else nullcontext():
            for training, validation in batches:
                self.training_batch.fill(training)
                self.validation_batch.fill(validation)
                step()
        return self._epoch_columns(rate, self.training_meter, None if warmup else self.validation_meter)

    def _step(self) -> None:
        """Take a step of the alphas, then one of the weights, on the current batches."""
        training = self.training_batch.batch()
        self._alpha_step(training, self.validation_batch.batch())
        self._weight_step(training)

    def _warmup_step(self) -> None:
        self._weight_step(self.training_batch.batch())

    def _alpha_step(self, training: Batch, validation: Batch) -> None:
        def alpha_loss(batch: Batch) -> Tensor:
            loss = self.alpha_loss.evaluate(batch, self.validation_meter)
            if self.settings.cost_pressure:
                loss = loss + self.settings.cost_pressure * self.expected_macs().log()
            return loss

        self.alpha_optimizer.zero_grad(set_to_none=True)
        self.algorithm.alpha_gradients(
            AlphaStep(
                supernet=self.supernet, alpha_loss=alpha_loss, weight_loss=self.weight_loss, training=training,
                validation=validation, learning_rate=rate_of(self.weight_optimizer), mesh=self.mesh,
            )
        )  # fmt: skip
        self.mesh.average_gradients(self.supernet.architecture_parameters())
        self.alpha_optimizer.step()

    def _weight_step(self, batch: Batch) -> None:
        weights = self.supernet.weight_parameters()
        self.weight_optimizer.zero_grad(set_to_none=True)
        with frozen(self.supernet.architecture_parameters()), self.weight_gradients.averaging():
            self.weight_loss.evaluate(batch, self.training_meter).backward()
        torch.nn.utils.clip_grad_norm_(weights, self.settings.gradient_clip)
        self.weight_optimizer.step()

    def _epoch_columns(self, rate: float, training: Meter, validation: Meter | None) -> EpochColumns:
        loss, accuracy, term, images = training.means(self.mesh, "training")
        genotype = self.supernet.genotype()
        limit = self.settings.stop_when_skips_exceed
        self.stopped = limit is not None and genotype.skip_share() > limit
        columns: EpochColumns = {
            "loss": loss,
            "accuracy": accuracy,
            "learning_rate": rate,
            "alpha_entropy": self.supernet.alpha_entropy(),
            "skip_share": genotype.skip_share(),
            "genotype": genotype.to_json(),
            "expected_macs": float(self.expected_macs().detach()),
            "images": images,
        }
        if validation is not None:
            means = validation.means(self.mesh, "validation")
            columns["validation_loss"], columns["validation_accuracy"] = means.loss, means.accuracy
            columns["images"] += means.images
        if self.weight_loss.regularizer:
            columns["regularization_term"] = term
        if self.regularizer:
            columns["taps"] = self._measure_taps()
        self._check_ranks_agree(genotype)
        return columns

    @torch.no_grad()
    def _measure_taps(self) -> list[ProgressTap]:
        """Return sparsity and magnitude of every tap of the supernet, on one batch in evaluation mode."""
        statistics = TapStatistics(self.supernet)
        images, _ = next(self.training_batches.epoch(0))
        self.supernet.eval()
        with listening(self.supernet, statistics.listeners()), self.compute.autocast():
            self.supernet(images)
        self.supernet.train()
        return statistics.rows(self.mesh)

    def _check_ranks_agree(self, genotype: Genotype) -> None:
        def content() -> bytes:
            alphas = torch.cat([p.detach().flatten() for p in self.supernet.architecture_parameters()])
            return genotype.to_json().encode() + alphas.double().cpu().numpy().tobytes()

        self.mesh.require_agreement("alphas and genotype", content)

    def genotype(self) -> Genotype:
        """Return the architecture derived from the current alphas."""
        return self.supernet.genotype()

    @override
    def state_dict(self) -> State:
        return {
            "supernet": self.supernet.state_dict(),
            "weight_optimizer": self.weight_optimizer.state_dict(),
            "alpha_optimizer": self.alpha_optimizer.state_dict(),
            "stopped": self.stopped,
        }

    @override
    def load_state_dict(self, state: State) -> None:
        self.supernet.load_state_dict(state["supernet"])
        load_state(self.weight_optimizer, state["weight_optimizer"])
        load_state(self.alpha_optimizer, state["alpha_optimizer"])
        self.step.forget()
        self.warmup_step.forget()
        self.stopped = state["stopped"]


def build_supernet(config: TrialConfig, images: Images) -> Supernet:
    """Return the untrained supernet of a trial, for images of this shape and number of classes."""
    return supernet_of(config, images.shape[0], images.classes)


def supernet_of(config: TrialConfig, image_channels: int, classes: int) -> Supernet:
    """Return the untrained supernet of a trial, for images with these channels and this number of classes."""
    options = ALGORITHMS[config.search.algorithm].supernet_options(config.search)
    return Supernet(
        config.space.name,
        classes=classes,
        image_channels=image_channels,
        recompute=config.search.recompute,
        **config.space.sizes(),
        **options,
    )
