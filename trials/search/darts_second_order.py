"""Second-order DARTS: the alphas follow the validation loss one (virtual) weight step ahead.

Liu, Simonyan, Yang, DARTS, ICLR 2019, equations 6 to 8. With L the losses, xi the weights' learning rate and
w' = w - xi dL_train(w, alpha)/dw,

    gradient = dL_val(w', alpha)/dalpha - xi d2L_train(w, alpha)/(dalpha dw) dL_val(w', alpha)/dw'.

The paper replaces the second term by a finite difference; so does this file, by a central one whose step
epsilon = 0.01 / ||dL_val/dw'|| is the paper's. The virtual step is the plain gradient step of equation 6.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from search_space import Supernet
from trials.config import SearchConfig
from trials.data.batches import Batch
from trials.search.darts import AlphaStep, Loss, frozen


class SecondOrder:
    """The gradient of the validation loss through one gradient step of the weights.

    Args:
        radius: epsilon times the norm of the vector, 0.01 in the paper.
    """

    def __init__(self, radius: float = 0.01) -> None:
        self.radius = radius

    @staticmethod
    def supernet_options(config: SearchConfig) -> dict[str, Any]:
        return {}

    def alpha_gradients(self, step: AlphaStep) -> None:
        weights, alphas = step.supernet.weight_parameters(), step.supernet.architecture_parameters()
        with _statistics_kept(step.supernet), _moved_back(weights):
            downhill = step.mesh.average(_gradients(step.weight_loss(step.training), weights))
            _move(weights, downhill, -step.rate)
            ahead = _gradients(step.alpha_loss(step.validation), [*alphas, *weights])
            direct, vector = ahead[: len(alphas)], step.mesh.average(ahead[len(alphas) :])
            _move(weights, downhill, step.rate)
            indirect = self._product(step.weight_loss, step.training, weights, alphas, vector)
        for alpha, first, second in zip(alphas, direct, indirect, strict=True):
            alpha.grad = first - step.rate * second

    def _product(
        self, loss: Loss, batch: Batch, weights: Sequence[nn.Parameter], alphas: Sequence[nn.Parameter],
        vector: Sequence[Tensor],
    ) -> list[Tensor]:  # fmt: skip
        """Return d2L/(dalpha dw) vector, as a central difference along ``vector``."""
        norm = torch.stack([one.square().sum() for one in vector]).sum().sqrt()
        if not norm > 0:
            return [torch.zeros_like(alpha) for alpha in alphas]
        epsilon = float(self.radius / norm)
        with frozen(weights):
            _move(weights, vector, epsilon)
            above = _gradients(loss(batch), alphas)
            _move(weights, vector, -2 * epsilon)
            below = _gradients(loss(batch), alphas)
        return [(up - down) / (2 * epsilon) for up, down in zip(above, below, strict=True)]


def _gradients(loss: Tensor, parameters: Sequence[nn.Parameter]) -> list[Tensor]:
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for g, p in zip(found, parameters, strict=True)]


@torch.no_grad()
def _move(weights: Sequence[nn.Parameter], direction: Sequence[Tensor], length: float) -> None:
    torch._foreach_add_(list(weights), list(direction), alpha=length)


@contextmanager
def _moved_back(weights: Sequence[nn.Parameter]) -> Iterator[None]:
    """Put the weights back bit for bit, however they were moved in the ``with`` block."""
    kept = [weight.detach().clone() for weight in weights]
    try:
        yield
    finally:
        with torch.no_grad():
            for weight, value in zip(weights, kept, strict=True):
                weight.copy_(value)


@contextmanager
def _statistics_kept(supernet: Supernet) -> Iterator[None]:
    """Put the running statistics back: the virtual step is no step of the weights."""
    kept = {name: buffer.clone() for name, buffer in supernet.named_buffers()}
    try:
        yield
    finally:
        for name, buffer in supernet.named_buffers():
            buffer.copy_(kept[name])
