"""First-order DARTS: the alphas follow the validation loss at the weights as they are.

Liu, Simonyan, Yang, DARTS, ICLR 2019, section 2.3 with xi = 0. One file per search algorithm; this is the
interface that they share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor, nn

from search_space import Supernet
from trials.config import SearchConfig
from trials.data.batches import Batch
from trials.device.parallel import Mesh

Loss = Callable[[Batch], Tensor]
"""The scalar loss of the supernet on a batch, with a graph."""


@dataclass(frozen=True, kw_only=True)
class AlphaStep:
    """What one step of the alphas can be computed from.

    Attributes:
        alpha_loss, weight_loss: the losses that alphas and weights descend.
        training, validation: a batch of either half of the training data.
        rate: current learning rate of the weights.
        mesh: the ranks; what a step itself moves weights along has to be averaged over them.
    """

    supernet: Supernet
    alpha_loss: Loss
    weight_loss: Loss
    training: Batch
    validation: Batch
    rate: float
    mesh: Mesh = field(default_factory=Mesh)


class SearchAlgorithm(Protocol):
    """How a search algorithm differs from the others: what supernet it needs, and how alphas get their gradient."""

    @staticmethod
    def supernet_options(config: SearchConfig) -> dict[str, Any]:
        """Return keyword arguments for the :class:`Supernet`."""

    def alpha_gradients(self, step: AlphaStep) -> None:
        """Leave this rank's gradient of every architecture parameter in its ``grad``; weights stay as they are."""


class FirstOrder:
    """The gradient of the validation loss with respect to the alphas, and nothing else."""

    @staticmethod
    def supernet_options(config: SearchConfig) -> dict[str, Any]:
        return {}

    def alpha_gradients(self, step: AlphaStep) -> None:
        with frozen(step.supernet.weight_parameters()):
            step.alpha_loss(step.validation).backward()


@contextmanager
def frozen(parameters: Iterable[nn.Parameter]) -> Iterator[None]:
    """Ask for no gradient of ``parameters`` in the ``with`` block: what is not needed is not computed."""
    parameters = list(parameters)
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
