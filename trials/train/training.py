"""The training phase: the discrete network is trained from scratch, with the feature-map term."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

import torch
from typing_extensions import override

from results.record_types import ProgressTap
from search_space import Genotype, Network
from search_space.network import DropPath
from search_space.normalization import share_statistics
from trials.checkpointing.checkpoint import State
from trials.checkpointing.record import EpochColumns, Phase
from trials.config import TrialConfig
from trials.cost.effective import EffectiveMacs
from trials.cost.tap_macs import tap_macs
from trials.data.augmentation import Augmentation
from trials.data.batches import Batches
from trials.data.image_set import Images
from trials.data.seeds import Purpose, seed_of
from trials.data.static_batch import StaticBatch
from trials.device.compute import Compute
from trials.device.gradient_buckets import GradientBuckets
from trials.device.graph import ReplayedStep, can_record
from trials.device.parallel import Mesh
from trials.feature_maps.regularization import Regularizer, TapStatistics
from trials.feature_maps.schedule import share_of_lambda
from trials.train.objective import Meter, Objective
from trials.train.optimizers import cosine, load_state, set_rate, sgd


@dataclass(frozen=True)
class Course:
    """What differs between training from scratch and fine-tuning.

    Attributes:
        epochs: of this phase.
        learning_rate: at its begin; cosine decay to 0.
        regularization: lambda.
        drop_path: drop-path probability that is reached at its end.
        schedule: course of lambda (:mod:`trials.feature_maps.schedule`).
        warm_up: share of the epochs without the term, before the schedule begins.
        epochs_before: epochs in which the images were seen before: their order and augmentation go on from there.
    """

    epochs: int
    learning_rate: float
    regularization: float
    drop_path: float = 0.0
    schedule: str = "constant"
    warm_up: float = 0.0
    epochs_before: int = 0


class Training(Phase):
    """The training phase of a trial. Its state is the network and its optimizer.

    Args:
        config: the trial.
        genotype: the architecture.
        images: training and test images; only the training images are used.
        compute: device and precision.
        mesh: the ranks of the trial.
    """

    name = stage = "train"
    stopped = False

    def __init__(
        self, config: TrialConfig, genotype: Genotype, images: Images, compute: Compute, mesh: Mesh
    ) -> None:
        train, maps = config.train, config.feature_maps
        course = Course(
            train.epochs,
            train.learning_rate,
            maps.regularization,
            train.drop_path,
            maps.schedule,
            maps.warm_up,
        )
        self._prepare(config, build_network(config, genotype, images), images, compute, mesh, course)

    def _prepare(
        self,
        config: TrialConfig,
        network: Network,
        images: Images,
        compute: Compute,
        mesh: Mesh,
        course: Course,
    ) -> None:
        """Set up the training of ``network``, in place."""
        self.config, self.compute, self.mesh, self.course = config, compute, mesh, course
        self.epochs, self.network = course.epochs, network
        compute.place(self.network)
        if config.device.sync_batch_norm:
            share_statistics(self.network, mesh.group)
        self.optimizer = sgd(
            self.network.parameters(),
            compute.device,
            course.learning_rate,
            momentum=config.train.momentum,
            weight_decay=config.train.weight_decay,
        )
        self.gradients = GradientBuckets(self.network.parameters(), mesh)
        maps = config.feature_maps
        macs = tap_macs(self.network, images.shape) if maps.weighting == "macs" else None
        weight = course.regularization
        self.regularizer = Regularizer.of(self.network, maps, macs) if weight > 0 else None
        self.objective = Objective(self.network, compute, self.regularizer, weight)
        self.batches, self.validation_batches = self._split_batches(images)
        self.batch, self.meter = StaticBatch(self.batches), Meter(compute.device)
        self.step = ReplayedStep(self._step, record=can_record(compute, mesh))

    def _split_batches(self, images: Images) -> tuple[Batches, Batches | None]:
        """Return the batches of the training images, and of those that are held out for validation, if any."""
        total = len(images.train)
        seed = seed_of(self.config.seed, Purpose.TRAINING_IMAGES, self.config.streams)
        order = torch.randperm(total, generator=torch.Generator().manual_seed(seed))
        held_out = round(total * self.config.train.validation_share)
        size = self.config.train.batch_size or self.config.data.batch_size
        make_batches = partial(
            Batches,
            images.train,
            seed=seed,
            rank=self.mesh.rank,
            world_size=self.mesh.world_size,
            dtype=self.compute.dtype,
        )
        training = make_batches(
            order[held_out:],
            self.mesh.batch_size(size, total - held_out),
            augmentation=Augmentation.of(self.config.data),
            drop_last=True,
            shuffle=True,
        )
        if not held_out:
            return training, None
        validation = make_batches(order[:held_out], size, drop_last=False, shuffle=False)
        return training, validation

    @override
    def run_epoch(self, epoch: int) -> EpochColumns:
        self.network.train()
        probability = self.course.drop_path * epoch / self.epochs
        drop_path = DropPath(probability, self.mesh.rank, self.mesh.world_size)
        if drop_path != self.network.drop_path:
            self.network.drop_path = drop_path
            self.step.forget()
        course = self.course
        share = share_of_lambda(course.schedule, course.warm_up, epoch, self.epochs)
        if course.regularization * share != self.objective.weight:
            self.objective.weight = course.regularization * share
            self.step.forget()
        rate = cosine(course.learning_rate, 0.0, epoch, self.epochs)
        set_rate(self.optimizer, rate)
        self.meter.clear()
        with self.regularizer.collecting() if self.regularizer else nullcontext():
            for raw in self.batches.raw(self.course.epochs_before + epoch):
                self.batch.fill(raw)
                self.step()
        loss, accuracy, term, images = self.meter.means(self.mesh, "training")
        taps, effective_macs = self._measure_taps()
        columns: EpochColumns = {
            "loss": loss,
            "accuracy": accuracy,
            "learning_rate": rate,
            "images": images,
            "taps": taps,
            "effective_macs": effective_macs,
        }
        if self.regularizer:
            columns["regularization_term"] = term
        if self.validation_batches is not None:
            columns["validation_loss"], columns["validation_accuracy"] = self._validate(
                self.validation_batches
            )
        return columns

    def _step(self) -> None:
        """Take a step of the weights on the current batch."""
        self.optimizer.zero_grad(set_to_none=True)
        self._backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.train.gradient_clip)
        self.optimizer.step()

    def _backward(self) -> None:
        """Compute the gradients of the weights on the current batch."""
        with self.gradients.averaging():
            self.objective.evaluate(self.batch.batch(), self.meter).backward()

    @torch.no_grad()
    def _validate(self, batches: Batches) -> tuple[float, float]:
        """Return cross-entropy and accuracy of the network in evaluation mode."""
        self.network.eval()
        meter = Meter(self.compute.device)
        cross_entropy = Objective(self.network, self.compute, None, 0.0)
        for batch in batches.epoch(0):
            if len(batch[1]):  # a rank's part of the last batch may be empty
                cross_entropy.evaluate(batch, meter)
        means = meter.means(self.mesh, "validation")
        return means.loss, means.accuracy

    @torch.no_grad()
    def _measure_taps(self) -> tuple[list[ProgressTap], float]:
        """Return sparsity and magnitude of every tap, and the mean effective macs, on one batch in evaluation mode."""
        statistics, effective = TapStatistics(self.network), EffectiveMacs(self.network)
        images, _ = next(self.batches.epoch(0))
        self.network.eval()
        with effective.counting(statistics.listeners()), self.compute.autocast():
            self.network(images)
        self.network.train()
        counts = torch.tensor([effective.total(), len(images)], dtype=torch.float64, device=images.device)
        macs, seen = self.mesh.sum(counts).tolist()
        return statistics.rows(self.mesh), macs / seen

    @override
    def state_dict(self) -> State:
        return {
            "genotype": self.network.genotype.to_json(),
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    @override
    def load_state_dict(self, state: State) -> None:
        self.network.load_state_dict(state["network"])
        load_state(self.optimizer, state["optimizer"])
        self.step.forget()


def build_network(config: TrialConfig, genotype: Genotype, images: Images) -> Network:
    """Return the untrained discrete network of a trial, for images of this shape and number of classes."""
    return network_of(config, genotype, images.shape[0], images.classes)


def network_of(config: TrialConfig, genotype: Genotype, image_channels: int, classes: int) -> Network:
    """Return the untrained discrete network of a trial, for images with these channels and this number of classes."""
    return Network(
        genotype,
        classes=classes,
        image_channels=image_channels,
        space=config.space.name,
        **config.network_sizes(),
    )
