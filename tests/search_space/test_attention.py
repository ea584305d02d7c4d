"""Attention primitives: comparison with the reference, fused and explicit attention, windows, taps."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from search_space.attention import MLP, SelfAttention
from search_space.feature_map import listening, taps
from search_space.primitives import primitive
from search_space.space import Activation
from tests.oracles.matching import module_matches
from tests.oracles.plain_attention import PlainSelfAttention, attention_primitive
from trials.feature_maps.regularization import Regularizer

pytestmark = pytest.mark.device

NAMES = ["self_attention", "self_attention_2h", "self_attention_4h", "window_attention", "mlp_2x", "mlp_4x"]


def perturbed(module: torch.nn.Module) -> torch.nn.Module:
    """Return ``module`` in float64, with noise added to every parameter."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return module.double()


@pytest.mark.parametrize("size", [(4, 4), (6, 5), (1, 9), (10, 3)])
@pytest.mark.parametrize("name", NAMES)
def test_primitives_equal_the_reference(name: str, size: tuple[int, int]) -> None:
    fast = primitive(name, 8, 1, affine=False)
    perturbed(fast)
    plain = attention_primitive(name, 8, 1).double()
    for match in module_matches(name, fast, plain):
        match.plain.data.copy_(match.part(match.fast.data))
    x = torch.randn(2, 8, *size, dtype=torch.float64)
    torch.testing.assert_close(fast(x), plain(x), rtol=0, atol=1e-10)


@pytest.mark.parametrize("activation", ["relu", "relu2"])
def test_the_hidden_map_of_a_rectified_mlp_has_the_exact_gradient_of_l1(activation: Activation) -> None:
    mlp = MLP(8, 2, affine=True, activation=activation)
    perturbed(mlp)
    x = torch.randn(2, 8, 3, 3, dtype=torch.float64)
    weights, hidden = list(mlp.up.parameters()), []
    regularizer = Regularizer(mlp, "l1", ["hidden"])
    with regularizer.collecting():
        mlp(x)
        found = torch.autograd.grad(regularizer.term(), weights)

    def record(x: Tensor) -> Tensor:
        hidden.append(x)
        return x

    with listening(mlp, {"hidden": record}):
        mlp(x)
    assert mlp.hidden.rectified
    assert (hidden[0] == 0).any()
    for one, other in zip(found, torch.autograd.grad(hidden[0].mean(), weights), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", ["self_attention", "window_attention"])
@pytest.mark.parametrize("size", [(8, 8), (7, 5)])
def test_stride_two_halves_the_map_first(name: str, size: tuple[int, int]) -> None:
    fast, plain = perturbed(primitive(name, 8, 2, affine=False)), attention_primitive(name, 8, 2).double()
    assert isinstance(plain, PlainSelfAttention)
    for match in module_matches(name, fast, plain):
        match.plain.data.copy_(match.part(match.fast.data))
    x = torch.randn(2, 8, *size, dtype=torch.float64)
    assert fast(x).shape[2:] == (-(-size[0] // 2), -(-size[1] // 2))
    torch.testing.assert_close(fast(x), plain(x), rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["self_attention", "window_attention"])
def test_the_path_with_a_listener_gives_the_same_numbers_and_gradients(name: str) -> None:
    module = perturbed(primitive(name, 8, 1)).eval()
    x = torch.randn(2, 8, 6, 5, dtype=torch.float64)
    recorded: list[Tensor] = []

    def listen(probabilities: Tensor) -> Tensor:
        recorded.append(probabilities)
        return probabilities

    results = []
    for listeners in ({}, {"product.probabilities": listen}):
        module.zero_grad()
        with listening(module, listeners):
            out = module(x)
        out.square().sum().backward()
        results.append([out.detach(), *(p.grad.clone() for p in module.parameters() if p.grad is not None)])
    for fused, explicit in zip(*results, strict=True):
        torch.testing.assert_close(fused, explicit, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(recorded[0].sum(-1), torch.ones_like(recorded[0].sum(-1)))


def test_windows_attend_only_to_positions_inside_them() -> None:
    module = perturbed(primitive("window_attention", 8, 1)).eval()
    x = torch.randn(1, 8, 6, 6, dtype=torch.float64)
    changed = x.clone()
    changed[:, :, 4:, 4:] += 1.0  # the window at the lower right corner, which is 2x2
    differs = (module(x) != module(changed)).any(1)[0]
    assert differs[4:, 4:].all()
    assert not differs[:4].any()
    assert not differs[:, :4].any()


def test_positions_beyond_the_clipping_distance_share_one_bias() -> None:
    module = SelfAttention(4, 2, 1, affine=True)
    with torch.no_grad():
        module.position.table.normal_()
    bias = module.position(1, 12)  # [heads, 12, 12]
    assert torch.equal(bias[:, 0, 7], bias[:, 0, 11])
    assert torch.equal(bias[:, 11, 4], bias[:, 11, 0])
    assert not torch.equal(bias[:, 0, 6], bias[:, 0, 7])


def test_taps_hold_the_maps_that_their_names_say() -> None:
    attention, mlp = SelfAttention(8, 2, 1, affine=True), MLP(8, 3, affine=True)
    shapes: dict[str, tuple[int, ...]] = {}

    def record_shape(name: str) -> Callable[[Tensor], Tensor]:
        def listen(x: Tensor) -> Tensor:
            shapes[name] = tuple(x.shape)
            return x

        return listen

    for module in (attention, mlp):
        with listening(module, {name: record_shape(name) for name in taps(module)}):
            module(torch.randn(2, 8, 4, 3))
    assert shapes == {
        "query": (2, 4, 3, 8), "key": (2, 4, 3, 8), "value": (2, 4, 3, 8), "context": (2, 4, 3, 8),
        "product.probabilities": (2, 2, 12, 12), "hidden": (2, 4, 3, 24), "input": (2, 4, 3, 8),
    }  # fmt: skip
