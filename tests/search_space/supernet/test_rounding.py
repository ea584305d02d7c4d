"""Rounding of the supernet's products in bf16."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from search_space.supernet.mixed import _WeightedSum
from search_space.supernet.projection import ProjectNorm

pytestmark = pytest.mark.device

TERMS, CHANNELS = 5, 16


def channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def summed(maps: list[Tensor], weight: Tensor) -> Tensor:
    """Return the textbook formula: 1x1 convolutions, batch norms, and their sum."""
    convolved = [F.conv2d(z, w[:, :, None, None]) for z, w in zip(maps, weight, strict=True)]
    return torch.stack([F.batch_norm(y, None, None, training=True) for y in convolved]).sum(0)


@pytest.mark.parametrize("mean", [1.0, 4.0])
def test_bf16_shifts_the_channels_no_more_than_the_textbook_formula(mean: float) -> None:
    ours, textbook = [], []
    for _ in range(12):
        project = ProjectNorm(TERMS, CHANNELS)
        maps = [channels_last(torch.randn(8, CHANNELS, 16, 16) + mean).bfloat16() for _ in range(TERMS)]
        weight = project.weight.detach()
        exact = summed([z.double() for z in maps], weight.double())
        with torch.no_grad():
            (found,) = project.summed([maps], torch.ones(TERMS))
            rounded = summed(maps, weight.bfloat16())
        ours.append(shift(found, exact))
        textbook.append(shift(rounded, exact))
    assert sum(ours) < 1.2 * sum(textbook)  # with a bias of the unrounded matrices: 1.4 to 1.5 times


def shift(found: Tensor, exact: Tensor) -> float:
    """Return by how much the means of the channels differ: root mean square."""
    return float((found.double() - exact).mean((0, 2, 3)).square().mean().sqrt())


def test_gradients_of_the_weights_of_a_sum_are_accumulated_in_float32() -> None:
    gamma = torch.rand(3, requires_grad=True)
    maps = [channels_last(torch.randn(4, 8, 16, 16)).bfloat16() for _ in range(3)]
    gradient = channels_last(torch.randn(4, 8, 16, 16)).bfloat16()
    _WeightedSum.apply(gamma, *maps).backward(gradient)
    exact = torch.stack([(gradient.double() * x.double()).sum() for x in maps])
    assert gamma.grad is not None
    torch.testing.assert_close(gamma.grad.double(), exact, rtol=1e-4, atol=1e-3)
