"""The bilevel search: weights on one half of the training images, alphas on the other, one epoch at a time."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch

from search_space import Genotype, Supernet
from search_space.feature_map import listening
from search_space.normalization import share_statistics
from trials.config import SearchConfig, TrialConfig
from trials.data.augmentation import Augmentation
from trials.data.loading import Batches, Images, split_halves
from trials.device.compute import Compute
from trials.device.parallel import Mesh
from trials.feature_maps.regularization import Regularizer, TapStatistics
from trials.search.darts import AlphaStep, FirstOrder, SearchAlgorithm, frozen
from trials.search.darts_second_order import SecondOrder
from trials.search.expected_macs import ExpectedMacs
from trials.search.pc_darts import PartialChannels
from trials.train.objective import Meter, Objective, cosine, set_rate

ALGORITHMS: dict[str, type[SearchAlgorithm]] = {
    "darts": FirstOrder,
    "darts_second_order": SecondOrder,
    "pc_darts": PartialChannels,
}


class Search:
    """The search phase of one trial; its state is weights, alphas, and both optimizers.

    Args:
        config: the trial.
        images: training data on the device; the halves are seeded by the trial.
    """

    name = "search"

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
        self.weight_optimizer = torch.optim.SGD(
            self.supernet.weight_parameters(),
            lr=self.settings.learning_rate,
            momentum=self.settings.momentum,
            weight_decay=self.settings.weight_decay,
        )
        self.alpha_optimizer = torch.optim.Adam(
            self.supernet.architecture_parameters(),
            lr=self.settings.alpha_learning_rate,
            betas=(0.5, 0.999),
            weight_decay=self.settings.alpha_weight_decay,
        )
        maps = config.feature_maps
        wanted = maps.regularization > 0 and (maps.in_search or self.settings.regularize_alphas)
        self.regularizer = Regularizer(self.supernet, maps.measure, maps.taps) if wanted else None
        shared = (self.supernet, compute, self.regularizer)
        self.weight_loss = Objective(*shared, maps.regularization if maps.in_search else 0.0)
        self.alpha_loss = Objective(*shared, maps.regularization if self.settings.regularize_alphas else 0.0)
        self.expected_macs = ExpectedMacs(self.supernet, images.shape)
        self.batches = self._halves(images)

    def _halves(self, images: Images) -> tuple[Batches, Batches]:
        seed, data = self.config.seed, self.config.data
        augmentation = Augmentation.of(data)
        first, second = split_halves(len(images.train), seed)

        def batches(indices: torch.Tensor, seed: int) -> Batches:
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

        return batches(first, seed), batches(second, seed + 1)

    def run_epoch(self, epoch: int) -> dict[str, Any]:
        """Run epoch ``epoch`` (from 0) and return what it measured, as columns of the progress table."""
        self.supernet.train()
        rate = cosine(self.settings.learning_rate, self.settings.learning_rate_min, epoch, self.epochs)
        set_rate(self.weight_optimizer, rate)
        training, validation = Meter(self.compute.device), Meter(self.compute.device)
        moves_alphas = epoch >= self.settings.alpha_warmup_epochs
        with self.regularizer.collecting() if self.regularizer else nullcontext():
            for one, other in zip(self.batches[0].epoch(epoch), self.batches[1].epoch(epoch), strict=False):
                if moves_alphas:
                    self._alpha_step(one, other, rate, validation)
                self._weight_step(one, training)
        return self._measured(rate, training, validation if moves_alphas else None)

    def _alpha_step(self, training: Any, validation: Any, rate: float, meter: Meter) -> None:
        def alpha_loss(batch: Any) -> torch.Tensor:
            loss = self.alpha_loss.evaluate(batch, meter)
            if self.settings.cost_pressure:
                loss = loss + self.settings.cost_pressure * self.expected_macs().log()
            return loss

        self.alpha_optimizer.zero_grad(set_to_none=True)
        self.algorithm.alpha_gradients(
            AlphaStep(
                supernet=self.supernet, alpha_loss=alpha_loss, weight_loss=self.weight_loss, training=training,
                validation=validation, rate=rate, mesh=self.mesh,
            )
        )  # fmt: skip
        self.mesh.average_gradients(self.supernet.architecture_parameters())
        self.alpha_optimizer.step()

    def _weight_step(self, batch: Any, meter: Meter) -> None:
        weights = self.supernet.weight_parameters()
        self.weight_optimizer.zero_grad(set_to_none=True)
        with frozen(self.supernet.architecture_parameters()):
            self.weight_loss.evaluate(batch, meter).backward()
        self.mesh.average_gradients(weights)
        torch.nn.utils.clip_grad_norm_(weights, self.settings.gradient_clip)
        self.weight_optimizer.step()

    def _measured(self, rate: float, training: Meter, validation: Meter | None) -> dict[str, Any]:
        loss, accuracy, term, images = training.read(self.mesh, "training")
        genotype = self.supernet.genotype()
        limit = self.settings.stop_when_skips_exceed
        self.stopped = limit is not None and genotype.skip_share() > limit
        row: dict[str, Any] = {
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
            row["validation_loss"], row["validation_accuracy"], _, more = validation.read(
                self.mesh, "validation"
            )
            row["images"] += more
        if self.weight_loss.regularizer:
            row["regularization_term"] = term
        if self.regularizer:
            row["taps"] = self._tap_rows()
        self._require_one_architecture(genotype)
        return row

    @torch.no_grad()
    def _tap_rows(self) -> list[dict[str, Any]]:
        statistics = TapStatistics(self.supernet)
        self.supernet.eval()
        with listening(self.supernet, statistics.listeners()), self.compute.autocast():
            self.supernet(next(iter(self.batches[0].epoch(0)))[0])
        self.supernet.train()
        return statistics.rows(self.mesh)

    def _require_one_architecture(self, genotype: Genotype) -> None:
        def content() -> bytes:
            alphas = torch.cat([p.detach().flatten() for p in self.supernet.architecture_parameters()])
            return genotype.to_json().encode() + alphas.double().cpu().numpy().tobytes()

        self.mesh.require_agreement("alphas and genotype", content)

    def genotype(self) -> Genotype:
        """Return the architecture that the search has found."""
        return self.supernet.genotype()

    def state_dict(self) -> dict[str, Any]:
        """Return all that the next epoch depends on."""
        return {
            "supernet": self.supernet.state_dict(),
            "weight_optimizer": self.weight_optimizer.state_dict(),
            "alpha_optimizer": self.alpha_optimizer.state_dict(),
            "stopped": self.stopped,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what :meth:`state_dict` returned."""
        self.supernet.load_state_dict(state["supernet"])
        self.weight_optimizer.load_state_dict(state["weight_optimizer"])
        self.alpha_optimizer.load_state_dict(state["alpha_optimizer"])
        self.stopped = state["stopped"]


def build_supernet(config: TrialConfig, images: Images) -> Supernet:
    """Return the supernet that ``config`` asks for, for these images."""
    options = ALGORITHMS[config.search.algorithm].supernet_options(config.search)
    return Supernet(
        config.space.name,
        classes=images.classes,
        image_channels=images.shape[0],
        recompute=config.search.recompute,
        **config.space.sizes(),
        **options,
    )
