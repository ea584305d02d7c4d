"""What both phases of a trial, search and training, share: the loss with the lambda term, its meter, the schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trials.data.batches import Batch
from trials.device.compute import Compute
from trials.device.parallel import Mesh
from trials.errors import TrialError
from trials.feature_maps.regularization import Regularizer


@dataclass
class Meter:
    """Loss and accuracy over an epoch, kept on the device so that no step waits for them."""

    device: torch.device
    _sums: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self._sums = torch.zeros(4, dtype=torch.float64, device=self.device)

    @torch.no_grad()
    def add(self, loss: Tensor, logits: Tensor, labels: Tensor, term: Tensor | None) -> None:
        """Add one batch: its mean cross-entropy, logits [B, classes], labels [B], and its feature-map term."""
        count = len(labels)
        right = (logits.argmax(1) == labels).sum()
        own = torch.stack(
            [loss.detach() * count, right, term.detach() * count if term is not None else loss * 0]
        )
        self._sums[:3] += own.double()
        self._sums[3] += count

    def read(self, mesh: Mesh, what: str) -> tuple[float, float, float, int]:
        """Return mean loss, accuracy, mean term and number of images over all ranks.

        Raises:
            TrialError: the loss is not finite.
        """
        loss, right, term, count = mesh.sum(self._sums).tolist()
        if not count:
            raise TrialError(f"the {what} loss needs at least one batch an epoch, but there was none")
        if not math.isfinite(loss + term):
            raise TrialError(f"the {what} loss must be finite, but got {loss / count} (term {term / count})")
        return loss / count, right / count, term / count, int(count)


class Objective:
    """Cross-entropy plus lambda times the feature-map term, of one network; also a :data:`darts.Loss`.

    Args:
        regularizer: listening to the network's taps; None: the loss is the cross-entropy, bit for bit.
        weight: lambda.
    """

    def __init__(
        self, network: nn.Module, compute: Compute, regularizer: Regularizer | None, weight: float
    ) -> None:
        self.network, self.compute, self.weight = network, compute, weight
        self.regularizer = regularizer if weight else None

    def __call__(self, batch: Batch) -> Tensor:
        return self.evaluate(batch, None)

    def evaluate(self, batch: Batch, meter: Meter | None) -> Tensor:
        """Return the loss of ``batch`` with its graph, and add it to ``meter``."""
        images, labels = batch
        if self.regularizer:
            self.regularizer.forget()
        with self.compute.autocast():
            logits = self.network(images)
        loss = F.cross_entropy(logits.to(self.compute.dtype), labels)
        term = self.regularizer.term().to(self.compute.dtype) if self.regularizer else None
        if meter:
            meter.add(loss, logits, labels, term)
        return loss if term is None else loss + self.weight * term


def cosine(peak: float, floor: float, epoch: int, epochs: int) -> float:
    """Return the learning rate of ``epoch`` (from 0): from ``peak`` down to ``floor`` along half a cosine."""
    return floor + (peak - floor) * (1 + math.cos(math.pi * epoch / epochs)) / 2


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of every parameter group."""
    for group in optimizer.param_groups:
        group["lr"] = rate
