"""Second-order DARTS: the alphas follow the validation loss after one (virtual) step of the weights.

Liu, Simonyan, Yang, DARTS, ICLR 2019, equations 6 to 8. With the losses L, the learning rate xi of the weights, and
w' = w - xi dL_train(w, alpha)/dw, the plain gradient step of equation 6,

    gradient = dL_val(w', alpha)/dalpha - xi d2L_train(w, alpha)/(dalpha dw) dL_val(w', alpha)/dw'.

As in the paper, the second term is a central finite difference with step epsilon = 0.01 / ||dL_val/dw'||.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from typing_extensions import override

from search_space import Supernet
from trials.config import SearchConfig
from trials.data.batches import Batch
from trials.search.darts import AlphaStep, Loss, SearchAlgorithm, SupernetOptions, frozen


class SecondOrder(SearchAlgorithm):
    """The gradient of the validation loss through one gradient step of the weights.

    Args:
        radius: norm of the finite-difference step; 0.01 in the paper.
    """

    def __init__(self, radius: float = 0.01) -> None:
        self.radius = radius

    @override
    @staticmethod
    def supernet_options(config: SearchConfig) -> SupernetOptions:
        return {}

    @override
    def alpha_gradients(self, step: AlphaStep) -> None:
        weights, alphas = step.supernet.weight_parameters(), step.supernet.architecture_parameters()
        with _restored_buffers(step.supernet), _restored_weights(weights):
            descent = step.mesh.average(_gradients(step.weight_loss(step.training), weights))
            _move(weights, descent, -step.learning_rate)  # to w'
            gradients = _gradients(step.alpha_loss(step.validation), [*alphas, *weights])
            direct, vector = gradients[: len(alphas)], step.mesh.average(gradients[len(alphas) :])
            _move(weights, descent, step.learning_rate)  # back to w
            product = self._mixed_derivative_product(step.weight_loss, step.training, weights, alphas, vector)
        for alpha, first, second in zip(alphas, direct, product, strict=True):
            alpha.grad = first - step.learning_rate * second

    def _mixed_derivative_product(
        self, loss: Loss, batch: Batch, weights: Sequence[nn.Parameter], alphas: Sequence[nn.Parameter],
        vector: Sequence[Tensor],
    ) -> list[Tensor]:  # fmt: skip
        """Return d2L/(dalpha dw) times ``vector``, as a central difference along ``vector``."""
        norm = torch.stack([part.square().sum() for part in vector]).sum().sqrt()
        epsilon = torch.where(norm > 0, self.radius / norm, 0.0)
        with frozen(weights):
            _move(weights, vector, epsilon)
            above = _gradients(loss(batch), alphas)
            _move(weights, vector, -2 * epsilon)
            below = _gradients(loss(batch), alphas)
        width = torch.where(norm > 0, 2 * epsilon, 1.0)  # of a vector of zeros, the product is zero
        return [(plus - minus) / width for plus, minus in zip(above, below, strict=True)]


def _gradients(loss: Tensor, parameters: Sequence[nn.Parameter]) -> list[Tensor]:
    """Return the gradient of every parameter; zeros for those that the loss does not depend on."""
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for g, p in zip(gradients, parameters, strict=True)]


@torch.no_grad()
def _move(weights: Sequence[nn.Parameter], direction: Sequence[Tensor], length: float | Tensor) -> None:
    if isinstance(length, Tensor) and length.is_cuda:  # its value is on the GPU, and stays there
        for weight, part in zip(weights, direction, strict=True):
            weight.addcmul_(part, length)
    else:
        torch._foreach_add_(list(weights), list(direction), alpha=float(length))


@contextmanager
def _restored_weights(weights: Sequence[nn.Parameter]) -> Iterator[None]:
    """Restore the weights, bit for bit, at the end of a ``with`` block."""
    copies = [weight.detach().clone() for weight in weights]
    try:
        yield
    finally:
        with torch.no_grad():
            for weight, copy in zip(weights, copies, strict=True):
                weight.copy_(copy)


@contextmanager
def _restored_buffers(supernet: Supernet) -> Iterator[None]:
    """Restore the running statistics at the end of a ``with`` block: a virtual step must not update them."""
    copies = {name: buffer.clone() for name, buffer in supernet.named_buffers()}
    try:
        yield
    finally:
        for name, buffer in supernet.named_buffers():
            buffer.copy_(copies[name])
