"""Training of the discrete network from scratch, with the feature-map term, one epoch at a time."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch

from search_space import Genotype, Network
from search_space.network import DropPath
from search_space.normalization import share_statistics
from trials.config import TrialConfig
from trials.cost.effective import EffectiveMacs
from trials.data.augmentation import Augmentation
from trials.data.loading import Batches, Images
from trials.device.compute import Compute
from trials.device.parallel import Mesh
from trials.feature_maps.regularization import Regularizer, TapStatistics
from trials.train.objective import Meter, Objective, cosine, set_rate


class Training:
    """The training phase of one trial; its state is the network's weights and the optimizer.

    Args:
        config: the trial.
        genotype: the architecture to train.
        images: training data on the device.
    """

    name = "train"
    stopped = False

    def __init__(
        self, config: TrialConfig, genotype: Genotype, images: Images, compute: Compute, mesh: Mesh
    ) -> None:
        self.config, self.compute, self.mesh = config, compute, mesh
        self.epochs = config.train.epochs
        self.network = build_network(config, genotype, images)
        compute.place(self.network)
        if config.device.sync_batch_norm:
            share_statistics(self.network, mesh.group)
        self.optimizer = torch.optim.SGD(
            self.network.parameters(),
            lr=config.train.learning_rate,
            momentum=config.train.momentum,
            weight_decay=config.train.weight_decay,
        )
        maps = config.feature_maps
        wanted = maps.regularization > 0
        self.regularizer = Regularizer(self.network, maps.measure, maps.taps) if wanted else None
        self.objective = Objective(self.network, compute, self.regularizer, maps.regularization)
        self.batches, self.held_out = self._split(images)

    def _split(self, images: Images) -> tuple[Batches, Batches | None]:
        total, seed = len(images.train), self.config.seed
        order = torch.randperm(total, generator=torch.Generator().manual_seed(seed + 2))
        held_out = round(total * self.config.train.validation_share)
        size = self.config.train.batch_size or self.config.data.batch_size
        augmentation = Augmentation.of(self.config.data)
        shared: dict[str, Any] = {
            "seed": seed + 2,
            "rank": self.mesh.rank,
            "world_size": self.mesh.world_size,
            "dtype": self.compute.dtype,
        }
        training = Batches(
            images.train,
            order[held_out:],
            batch_size=self.mesh.batch_size(size, total - held_out),
            augmentation=augmentation,
            drop_last=True,
            shuffle=True,
            **shared,
        )
        if not held_out:
            return training, None
        watched = Batches(
            images.train,
            order[:held_out],
            batch_size=size,
            augmentation=None,
            drop_last=False,
            shuffle=False,
            **shared,
        )
        return training, watched

    def run_epoch(self, epoch: int) -> dict[str, Any]:
        """Run epoch ``epoch`` (from 0) and return what it measured, as columns of the progress table."""
        self.network.train()
        probability = self.config.train.drop_path * epoch / self.epochs
        self.network.drop_path = DropPath(probability, self.mesh.rank, self.mesh.world_size)
        rate = cosine(self.config.train.learning_rate, 0.0, epoch, self.epochs)
        set_rate(self.optimizer, rate)
        meter = Meter(self.compute.device)
        with self.regularizer.collecting() if self.regularizer else nullcontext():
            for batch in self.batches.epoch(epoch):
                self._step(batch, meter)
        loss, accuracy, term, images = meter.read(self.mesh, "training")
        row: dict[str, Any] = {"loss": loss, "accuracy": accuracy, "learning_rate": rate, "images": images}
        row["taps"], row["effective_macs"] = self._maps_at_inference()
        if self.regularizer:
            row["regularization_term"] = term
        if self.held_out is not None:
            row["validation_loss"], row["validation_accuracy"] = self._validate(self.held_out)
        return row

    def _step(self, batch: Any, meter: Meter) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        self.objective.evaluate(batch, meter).backward()
        self.mesh.average_gradients(self.network.parameters())
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.train.gradient_clip)
        self.optimizer.step()

    @torch.no_grad()
    def _validate(self, batches: Batches) -> tuple[float, float]:
        self.network.eval()
        meter = Meter(self.compute.device)
        plain = Objective(self.network, self.compute, None, 0.0)
        for batch in batches.epoch(0):
            if len(batch[1]):  # the last batch may leave a rank without an image
                plain.evaluate(batch, meter)
        loss, accuracy, _, _ = meter.read(self.mesh, "validation")
        return loss, accuracy

    @torch.no_grad()
    def _maps_at_inference(self) -> tuple[list[dict[str, Any]], float]:
        """Return every tap's sparsity and magnitude, and the mean effective macs, on one training batch."""
        statistics, effective = TapStatistics(self.network), EffectiveMacs(self.network)
        images = next(iter(self.batches.epoch(0)))[0]
        self.network.eval()
        with effective.counting(statistics.listeners()), self.compute.autocast():
            self.network(images)
        self.network.train()
        counts = torch.tensor([effective.total(), len(images)], dtype=torch.float64, device=images.device)
        macs, seen = self.mesh.sum(counts).tolist()
        return statistics.rows(self.mesh), macs / seen

    def state_dict(self) -> dict[str, Any]:
        """Return all that the next epoch depends on."""
        return {
            "genotype": self.network.genotype.to_json(),
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what :meth:`state_dict` returned."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])


def build_network(config: TrialConfig, genotype: Genotype, images: Images) -> Network:
    """Return the discrete network that ``config`` asks for, for these images."""
    sizes = config.network_sizes()
    del sizes["nodes"]
    return Network(
        genotype, classes=images.classes, image_channels=images.shape[0], space=config.space.name, **sizes
    )
