"""The interface of search algorithms, and first-order DARTS.

Liu, Simonyan, Yang, DARTS, ICLR 2019, section 2.3: with xi = 0, the alphas follow the gradient of the validation loss
at the current weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypedDict

from torch import Tensor, nn
from typing_extensions import override

from search_space import Supernet
from trials.config import SearchConfig
from trials.data.batches import Batch
from trials.device.parallel import Mesh

Loss = Callable[[Batch], Tensor]
"""Returns the differentiable loss of the supernet on a batch, a scalar."""


@dataclass(frozen=True, kw_only=True)
class AlphaStep:
    """Inputs of one step of the alphas.

    Attributes:
        alpha_loss, weight_loss: the losses that the alphas and the weights minimize.
        training, validation: a batch of each half of the training images.
        learning_rate: current learning rate of the weights; on a GPU, a scalar on the device.
        mesh: the ranks of the trial.
    """

    supernet: Supernet
    alpha_loss: Loss
    weight_loss: Loss
    training: Batch
    validation: Batch
    learning_rate: float | Tensor
    mesh: Mesh = field(default_factory=Mesh)


class SupernetOptions(TypedDict, total=False):
    """Keyword arguments of :class:`Supernet` that depend on the search algorithm."""

    partial_channels: int
    edge_normalization: bool


class SearchAlgorithm(Protocol):
    """What differs between search algorithms: options of the supernet, and the gradient of the alphas."""

    @staticmethod
    def supernet_options(config: SearchConfig) -> SupernetOptions:
        """Return the options of the supernet that the algorithm needs."""

    def alpha_gradients(self, step: AlphaStep) -> None:
        """Set ``grad`` of every architecture parameter to this rank's gradient; leave the weights unchanged.

        The caller averages the gradients over the ranks. If the step itself moves the weights, it has to average the
        direction over ``step.mesh``, so that all ranks move alike.
        """


class FirstOrder(SearchAlgorithm):
    """First-order DARTS: the gradient of the validation loss at the current weights."""

    @override
    @staticmethod
    def supernet_options(config: SearchConfig) -> SupernetOptions:
        return {}

    @override
    def alpha_gradients(self, step: AlphaStep) -> None:
        with frozen(step.supernet.weight_parameters()):
            step.alpha_loss(step.validation).backward()


@contextmanager
def frozen(parameters: Iterable[nn.Parameter]) -> Iterator[None]:
    """Disable gradients of ``parameters`` in a ``with`` block, so that they are not computed."""
    parameters = list(parameters)
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
