"""Rounding of the supernet's products in bf16 and float32."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from search_space.normalization import recomputed
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


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("deviations", [0.0, 9.0, 30.0, 10_000.0])
def test_float32_keeps_its_digits_far_from_zero(deviations: float, recompute: bool) -> None:
    values = torch.randn(4, 2 * 8, 16, 16, dtype=torch.float64) + deviations * torch.randn(2 * 8, 1, 1)
    values = values.float().double()
    weights, gradient = torch.randn(2, 8, 8).double(), torch.randn(4, 8, 16, 16).double()
    found = summed_and_gradients(values, weights, gradient, torch.float32, recompute)
    exact = summed_and_gradients(values, weights, gradient, torch.float64, False)
    lost = (values.mean((0, 2, 3)) / values.std((0, 2, 3))).square().max().item()
    lost = min(lost, 100.0) if values.device.type == "cpu" else lost  # a GPU does not shift maps
    for one, other in zip(found, exact, strict=True):
        assert (one - other).norm() < (1e-5 + 2e-7 * lost) * other.norm()


def summed_and_gradients(
    values: Tensor, weights: Tensor, gradient: Tensor, dtype: torch.dtype, recompute: bool
) -> list[Tensor]:
    """Return sum, all gradients and running statistics of two terms on one map, in float64."""
    project = ProjectNorm(2, 8).to(dtype)
    project.weight.data.copy_(weights)
    gamma = torch.tensor([0.5, -0.25], dtype=dtype, requires_grad=True)
    z = channels_last(values.to(dtype)).requires_grad_()

    def evaluate(z: Tensor) -> Tensor:
        return project.summed([[z]], gamma)[0]

    out = recomputed(evaluate, z) if recompute else evaluate(z)
    out.backward(gradient.to(dtype))
    kept = [out, z.grad, project.weight.grad, gamma.grad, project.running_mean, project.running_var]
    return [x.detach().double() for x in kept if x is not None]
