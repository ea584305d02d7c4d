"""The loss with the lambda term, and its running mean, for both search and training."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trials.data.batches import Batch
from trials.device.compute import Compute
from trials.device.parallel import Mesh
from trials.errors import TrialError
from trials.feature_maps.regularization import Regularizer


class Means(NamedTuple):
    """Means over the images of an epoch, on all ranks together."""

    loss: float
    accuracy: float
    term: float
    images: int


@dataclass
class Meter:
    """Running sums of loss and accuracy in an epoch. They stay on the device, so that no step waits for them."""

    device: torch.device
    _sums: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self._sums = torch.zeros(4, dtype=torch.float64, device=self.device)

    def clear(self) -> None:
        """Forget all batches. The sums keep their address."""
        self._sums.zero_()

    @torch.no_grad()
    def add(self, loss: Tensor, logits: Tensor, labels: Tensor, term: Tensor | None) -> None:
        """Add a batch.

        Args:
            loss: mean cross-entropy of the batch, a scalar.
            logits: [B, classes].
            labels: [B].
            term: feature-map term of the batch, a scalar; None: it counts as 0.
        """
        count = len(labels)
        correct = (logits.argmax(1) == labels).sum()
        sums = torch.stack(
            [loss.detach() * count, correct, term.detach() * count if term is not None else loss * 0]
        )
        self._sums[:3] += sums.double()
        self._sums[3] += count

    def means(self, mesh: Mesh, what: str) -> Means:
        """Return the means over all images and ranks; ``what`` names the loss in error messages.

        Raises:
            TrialError: there was no batch, or the loss is not finite.
        """
        loss, correct, term, count = mesh.sum(self._sums).tolist()
        if not count:
            raise TrialError(f"the {what} loss needs at least one batch an epoch, but there was none")
        if not math.isfinite(loss + term):
            raise TrialError(f"the {what} loss must be finite, but got {loss / count} (term {term / count})")
        return Means(loss / count, correct / count, term / count, int(count))


class Objective:
    """The loss of a network: cross-entropy plus lambda times the feature-map term.

    Args:
        network: returns logits.
        compute: precision of the forward pass.
        regularizer: collects the feature-map term at the taps of ``network``; None: no term.
        weight: lambda; 0: no term. It may change afterwards, if it was not 0.
    """

    def __init__(
        self, network: nn.Module, compute: Compute, regularizer: Regularizer | None, weight: float
    ) -> None:
        self.network, self.compute, self.weight = network, compute, weight
        self.regularizer = regularizer if weight else None

    def __call__(self, batch: Batch) -> Tensor:
        """Return the differentiable loss of ``batch``, a scalar."""
        return self.evaluate(batch, None)

    def evaluate(self, batch: Batch, meter: Meter | None) -> Tensor:
        """Return the differentiable loss of ``batch``, a scalar, and add the batch to ``meter``."""
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
