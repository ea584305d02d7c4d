"""A source stage in the interpreter equals the textbook formula, forward and backward, in float64."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from search_space.space import SPACES
from search_space.supernet.fused.gradients import NodeGradients
from search_space.supernet.fused.passes import forward_pass
from search_space.supernet.fused.plan import Geometry, SourcePlan
from search_space.supernet.fused.stage import Stage
from tests.search_space.supernet.fused.conftest import set_tiles
from tests.search_space.supernet.fused.plain_stage import Inputs, plain_stage, rows

DARTS = SPACES["darts"].primitives
SMALL = tuple(name for name in DARTS if "5x5" not in name)
NAMES = ("x", "base", "weights", "gamma")


def fused_stage(inputs: Inputs, *leaves: Tensor, source: Tensor | None = None) -> Tensor:
    """Return the sums of a fused stage that completes no node."""
    x, base, weights, gamma = leaves
    stage = Stage(inputs.plan, False, NodeGradients(inputs.plan.edges))
    out = stage(x, source, base, weights, gamma)[2]
    assert out is not None
    return out


def assert_equal(found: Tensor, expected: Tensor, name: str, tolerance: float) -> None:
    error = (found.double() - expected.double()).abs().max() / expected.abs().max()
    assert error <= tolerance, f"{name} differs by {error:.1e} of its largest value"


CASES = [
    # channels, side, stride, edges, primitives
    (4, (5, 7), 1, 2, SMALL),
    (4, (9, 7), 2, 2, SMALL),
    (16, (5, 7), 1, 1, DARTS),
    (16, (9, 8), 2, 1, DARTS),
    (12, (9, 7), 1, 2, SMALL),
    (128, (3, 5), 2, 1, SMALL),
]


@pytest.mark.parametrize(("channels", "side", "stride", "edges", "primitives"), CASES)
def test_a_stage_equals_the_textbook_forward_and_backward(
    channels: int, side: tuple[int, int], stride: int, edges: int, primitives: tuple[str, ...]
) -> None:
    plan = SourcePlan(edges, channels, stride, primitives, factorized=stride == 2)
    inputs = Inputs.of(plan, side, torch.float64)
    outs, gradients = [], []
    for function in (
        lambda *leaves: fused_stage(inputs, *leaves),
        lambda *leaves: plain_stage(plan, *leaves),
    ):
        leaves = inputs.differentiable(torch.float64)
        outs.append(function(*leaves))
        gradients.append(torch.autograd.grad(outs[-1], leaves, inputs.gradient))
    assert_equal(outs[0], outs[1], "the sum", 1e-12)
    for name, found, expected in zip(NAMES, *gradients, strict=True):
        assert_equal(found, expected, f"the gradient of {name}", 1e-11)


def test_moments_pools_and_taps_equal_those_of_the_maps() -> None:
    plan = SourcePlan(2, 4, 1, SMALL)
    inputs = Inputs.of(plan, (5, 7), torch.float64)
    x = inputs.x
    geometry = Geometry.of(x, 1)
    _, saved = forward_pass(plan, geometry, rows(x), None, inputs.base, inputs.weights, inputs.gamma)
    maps = saved.maps
    assert_equal(saved.gram, maps.mT @ maps, "the second moment", 1e-13)
    assert_equal(saved.total, maps.sum(1), "the sum", 1e-12)
    largest, taps = F.max_pool2d(x, 3, 1, 1, return_indices=True)
    assert saved.pooled is not None
    assert saved.taps is not None
    assert torch.equal(saved.pooled[0], rows(largest))
    row, column = taps // 7, taps % 7
    first = torch.arange(5)[:, None] - 1, torch.arange(7)[None, :] - 1
    assert torch.equal(saved.taps, rows((row - first[0]) * 3 + column - first[1]).to(torch.uint8))
    mean = F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
    assert_equal(saved.pooled[1], rows(mean), "the mean", 1e-14)
    assert saved.pools is not None
    assert_equal(
        saved.pools[1], torch.stack([rows(p).var(0) for p in (largest, mean)]), "the variance", 1e-12
    )


def test_the_gradient_of_gamma_alone_is_the_same_and_costs_no_gradient_of_a_weight() -> None:
    plan = SourcePlan(1, 4, 2, SMALL, factorized=True)
    inputs = Inputs.of(plan, (5, 7), torch.float64)
    everything = inputs.differentiable(torch.float64)
    expected = torch.autograd.grad(fused_stage(inputs, *everything), everything, inputs.gradient)
    x, base, weights, gamma = inputs.differentiable(torch.float64)
    out = fused_stage(inputs, x.detach(), base.detach(), weights.detach(), gamma)
    (found,) = torch.autograd.grad(out, gamma, inputs.gradient)
    assert torch.equal(found, expected[3])
    out = fused_stage(inputs, x, base, weights.detach(), gamma)
    for index, gradient in enumerate(torch.autograd.grad(out, (x, base, gamma), inputs.gradient)):
        assert torch.equal(gradient, expected[(0, 1, 3)[index]])


def test_convolutions_can_read_another_map_than_the_pools() -> None:
    plan = SourcePlan(1, 4, 2, SMALL, factorized=True)
    inputs = Inputs.of(plan, (5, 7), torch.float64)
    leaves = inputs.differentiable(torch.float64)
    expected = torch.autograd.grad(fused_stage(inputs, *leaves), leaves, inputs.gradient)
    source = leaves[0].relu()
    found = torch.autograd.grad(fused_stage(inputs, *leaves, source=source), leaves, inputs.gradient)
    for name, one, other in zip(NAMES, found, expected, strict=True):
        assert_equal(one, other, f"the gradient of {name}", 1e-13)


def results(inputs: Inputs) -> list[Tensor]:
    """Return the sum and all gradients of a stage in the dtypes of ``inputs``."""
    leaves = [
        t.detach().clone().requires_grad_() for t in (inputs.x, inputs.base, inputs.weights, inputs.gamma)
    ]
    out = fused_stage(inputs, *leaves)
    return [out.detach(), *torch.autograd.grad(out, leaves, inputs.gradient)]


def test_results_are_the_same_bit_by_bit_in_every_run_and_within_rounding_for_every_size_of_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inputs = Inputs.of(SourcePlan(1, 4, 1, SMALL), (5, 7), torch.float64)
    expected = results(inputs)
    for found, same in zip(results(inputs), expected, strict=True):
        assert torch.equal(found, same)
    set_tiles(monkeypatch, positions=32, chunks=2)
    for name, found, same in zip(("sum", *NAMES), results(inputs), expected, strict=True):
        assert_equal(found, same, name, 1e-12)


@pytest.mark.parametrize(
    ("dtype", "forward", "backward"), [(torch.float32, 1e-6, 1e-5), (torch.bfloat16, 1e-2, 4e-2)]
)
def test_float32_and_bfloat16_are_close_to_float64(
    dtype: torch.dtype, forward: float, backward: float
) -> None:
    plan = SourcePlan(1, 8, 1, SMALL)
    inputs = Inputs.of(plan, (7, 8), dtype)
    leaves = inputs.differentiable(torch.float64)
    out = plain_stage(plan, *leaves)
    expected = [out, *torch.autograd.grad(out, leaves, inputs.gradient.double())]
    for name, found, exact in zip(("sum", *NAMES), results(inputs), expected, strict=True):
        error = (found.double() - exact).square().mean().sqrt() / exact.square().mean().sqrt()
        assert error < (forward if name == "sum" else backward), f"{name} differs by {error:.1e}"


def test_a_bfloat16_bias_belongs_to_the_rounded_matrix() -> None:
    """Channels of large mean keep a mean of zero after batch norm, although the matrix is rounded."""
    plan = SourcePlan(1, 16, 1, ("none", "dil_conv_3x3"))
    inputs = Inputs.of(plan, (8, 8), torch.bfloat16)
    x = rows(inputs.x.float().abs() * 0.2 + 4).bfloat16()
    base = torch.zeros_like(inputs.base)
    weights = inputs.weights.clone()
    weights[: 16 * 9].fill_(0.1)
    out, saved = forward_pass(plan, Geometry(8, 8, 8, 8), x, None, base, weights, torch.ones(1, 2))
    z = saved.maps[0].double()
    ratio = (z.mean(0).abs() / z.std(0)).mean()
    assert ratio > 2, "the case is harder than usual"
    assert out[0].double().mean(0).abs().max() < 1e-3


def test_nan_is_not_hidden() -> None:
    plan = SourcePlan(1, 4, 1, ("none", "sep_conv_3x3"))
    inputs = Inputs.of(plan, (5, 7), torch.float64)
    inputs.x[0, 0, 0, 0] = float("nan")
    assert all(result.isnan().any() for result in results(inputs)[:1])
