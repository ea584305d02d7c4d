"""The search in the textbook way, as published implementations do it: what the search of this project is compared with.

The supernet is the plain formula, every pass computes all gradients, nothing is shared. Images, augmentation, learning
rates, optimizers and clipping are those of the search of this project.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.oracles.plain_darts import PlainSupernet
from trials.config import TrialConfig
from trials.data.augmentation import Augmentation
from trials.data.batches import Batch, Batches, split_halves
from trials.data.image_set import Images
from trials.device.compute import Compute
from trials.train.optimizers import cosine, set_rate


class PlainSearch:
    """First-order DARTS on the plain supernet.

    Args:
        config: the trial.
        images: its images.
        compute: device and precision.
    """

    def __init__(self, config: TrialConfig, images: Images, compute: Compute) -> None:
        self.settings, self.compute, space = config.search, compute, config.space
        self.supernet = PlainSupernet(
            space.name, cells=space.cells, channels=space.channels, nodes=space.nodes, classes=images.classes,
            output_node=space.output_node, splitting=space.splitting, image_channels=images.shape[0],
        ).to(compute.device)  # fmt: skip
        alphas = {id(alpha) for alpha in self.supernet.alphas.values()}
        self.weights = [p for p in self.supernet.parameters() if id(p) not in alphas]
        settings = self.settings
        self.weight_optimizer = torch.optim.SGD(
            self.weights, settings.learning_rate, settings.momentum, weight_decay=settings.weight_decay
        )
        self.alpha_optimizer = torch.optim.Adam(
            self.supernet.alphas.values(), settings.alpha_learning_rate, (0.5, 0.999),
            weight_decay=settings.alpha_weight_decay,
        )  # fmt: skip
        first, second = split_halves(len(images.train), config.seed)
        self.training, self.validation = (
            Batches(
                images.train, half, config.data.batch_size, config.seed + i,
                augmentation=Augmentation.of(config.data), drop_last=True, shuffle=True,
            )
            for i, half in enumerate((first, second))
        )  # fmt: skip

    def run_epoch(self, epoch: int) -> None:
        """Run one epoch, and wait for its end."""
        settings = self.settings
        rate = cosine(settings.learning_rate, settings.learning_rate_min, epoch, settings.epochs)
        set_rate(self.weight_optimizer, rate)
        loss = torch.zeros(())
        for training, validation in zip(
            self.training.epoch(epoch), self.validation.epoch(epoch), strict=True
        ):
            self._zero_gradients()
            self._loss(validation).backward()
            self.alpha_optimizer.step()
            self._zero_gradients()
            loss = self._loss(training)
            loss.backward()
            nn.utils.clip_grad_norm_(self.weights, settings.gradient_clip)
            self.weight_optimizer.step()
        float(loss.detach())

    def _loss(self, batch: Batch) -> Tensor:
        images, labels = batch
        with self.compute.autocast():
            logits = self.supernet(images.contiguous())
        return F.cross_entropy(logits.float(), labels)

    def _zero_gradients(self) -> None:
        self.supernet.zero_grad(set_to_none=True)
