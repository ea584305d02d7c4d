"""What a network makes of a set of images: which of them it classifies correctly, and its loss."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from trials.data.batches import Batch
from trials.device.compute import Compute
from trials.device.reading import on_cpu
from trials.errors import TrialError


@dataclass(frozen=True)
class Outcome:
    """Classification of a set of images.

    Attributes:
        right: which images are classified correctly, in their order, bool [N].
        loss: mean cross-entropy.
    """

    right: NDArray[np.bool_]
    loss: float

    @property
    def images(self) -> int:
        """Number of images."""
        return len(self.right)

    @property
    def accuracy(self) -> float:
        """Fraction of images that are classified correctly."""
        return float(self.right.mean())

    def bits(self) -> bytes:
        """Return ``right`` as a bit mask: bit 7 - i % 8 of byte i // 8 is set if image i is classified correctly."""
        return np.packbits(self.right).tobytes()


class Outcomes:
    """Collects an outcome by batches. It stays on the device, so that no batch waits for it."""

    def __init__(self) -> None:
        self._right: list[Tensor] = []
        self._loss: list[Tensor] = []

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Add a batch: logits [B, classes] and labels [B]."""
        self._right.append(logits.argmax(1) == labels)
        self._loss.append(F.cross_entropy(logits.double(), labels, reduction="sum"))

    def collected(self) -> tuple[Tensor, Tensor]:
        """Return which images are classified correctly, bool [N], and the sum of their losses, on the device."""
        return torch.cat(self._right), torch.stack(self._loss).sum()


def outcome_of(right: Tensor, loss: Tensor) -> Outcome:
    """Return the outcome of what :meth:`Outcomes.collected` returned, on the CPU.

    Raises:
        TrialError: the loss is not finite.
    """
    mean = float(loss) / len(right)
    if not math.isfinite(mean):
        raise TrialError(f"the loss of a rung must be finite, but got {mean}")
    return Outcome(right.numpy(), mean)


@torch.no_grad()
def classify(network: nn.Module, batches: Iterable[Batch], compute: Compute) -> Outcome:
    """Return the outcome of ``network``, in evaluation mode, on ``batches``.

    Raises:
        TrialError: the loss is not finite.
    """
    outcomes = Outcomes()
    for images, labels in batches:
        with compute.autocast():
            logits = network(images)
        outcomes.add(logits, labels)
    right, loss = on_cpu(outcomes.collected())
    return outcome_of(right, loss)
