"""The fast supernet equals the reference: logits, gradients, running statistics, in every setting.

In float64 within 1e-10; the forward pass in float32 within 1e-5.
"""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from search_space import Supernet
from search_space.space import Activation
from search_space.supernet.mixed import BLOCK_ELEMENTS
from tests.oracles.matching import copy_to_plain, matches, shuffle_parameters
from tests.oracles.plain_attention import PlainMLP
from tests.oracles.plain_darts import PlainSupernet, Sizes
from tests.oracles.plain_pc_darts import PlainPartialSupernet

pytestmark = pytest.mark.device

OUTPUT_NODES = [("concat", 1), ("node_groups", 1), ("node_groups", 2), ("channel_groups", 2), ("partial", 4)]
CLASSES = 5


def pair(
    space: str, dtype: torch.dtype = torch.float64, *, nodes: int = 2, channels: int = 4,
    output_node: str = "concat", splitting: int = 1, recompute: bool = False, k: int = 1,
    activation: Activation = "gelu",
) -> tuple[Supernet, PlainSupernet]:  # fmt: skip
    """Return the fast supernet and the reference with equal parameters."""
    sizes: Sizes = {
        "cells": 3, "channels": channels, "classes": CLASSES, "nodes": nodes, "output_node": output_node,
        "splitting": splitting,
    }  # fmt: skip
    fast = Supernet(
        space,
        **sizes,
        recompute=recompute,
        partial_channels=k,
        edge_normalization=k > 1,
        activation=activation,
    )
    plain = PlainSupernet(space, **sizes) if k == 1 else PlainPartialSupernet(space, k=k, **sizes)
    for module in plain.modules():
        if isinstance(module, PlainMLP):
            module.activation = activation
    shuffle_parameters(fast)
    fast.to(dtype)
    plain.to(dtype)
    copy_to_plain(fast, plain)
    return fast, plain


def batch(side: tuple[int, int], dtype: torch.dtype = torch.float64, count: int = 3) -> tuple[Tensor, Tensor]:
    return torch.randn(count, 3, *side, dtype=dtype), torch.randint(0, CLASSES, (count,))


def assert_close(name: str, found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10, msg=lambda text: f"{name}: {text}")


def assert_equal_everywhere(fast: Supernet, plain: PlainSupernet, images: Tensor, labels: Tensor) -> None:
    """Compare logits and gradients in training, then running statistics, then logits in evaluation."""
    outs = []
    for network in (fast, plain):
        network.train()
        network.zero_grad()
        outs.append(network(images))
        F.cross_entropy(outs[-1], labels).backward()
    torch.testing.assert_close(outs[0], outs[1], rtol=0, atol=1e-10)
    compared = 0
    for match in matches(fast, plain):
        assert_close(match.name, match.part(match.fast.data), match.plain.data)
        if match.fast.grad is None:
            assert match.plain.grad is None or not match.plain.grad.any(), match.name
            continue
        compared += match.plain.numel()
        assert match.plain.grad is not None
        assert_close(f"gradient of {match.name}", match.part(match.fast.grad), match.plain.grad)
    assert compared
    fast.eval()
    plain.eval()
    torch.testing.assert_close(fast(images), plain(images), rtol=0, atol=1e-10)


def test_the_comparison_covers_every_parameter_of_both_supernets() -> None:
    for space in ("darts", "hybrid", "attention"):
        fast, plain = pair(space)
        pairs = list(matches(fast, plain))
        assert {id(match.fast) for match in pairs} >= {id(p) for p in fast.parameters()}
        assert {id(match.plain) for match in pairs} == {
            id(t) for t in (*plain.parameters(), *plain.buffers()) if t.dim()
        }
        assert sum(p.numel() for p in fast.parameters()) == sum(p.numel() for p in plain.parameters())


@pytest.mark.parametrize(("output_node", "splitting"), OUTPUT_NODES)
@pytest.mark.parametrize("space", ["darts", "hybrid", "attention"])
def test_supernet_equals_the_reference(space: str, output_node: str, splitting: int) -> None:
    side = (8, 8) if space != "attention" else (12, 10)
    fast, plain = pair(space, output_node=output_node, splitting=splitting)
    assert_equal_everywhere(fast, plain, *batch(side))


@pytest.mark.parametrize("activation", ["relu", "relu2"])
def test_every_activation_equals_the_reference(activation: Activation) -> None:
    assert_equal_everywhere(
        *pair("attention", activation=activation, recompute=activation == "relu2"), *batch((8, 8))
    )


@pytest.mark.parametrize("side", [(9, 9), (7, 10), (13, 8)])
@pytest.mark.parametrize("space", ["darts", "hybrid"])
def test_odd_image_sizes_equal_the_reference(space: str, side: tuple[int, int]) -> None:
    assert_equal_everywhere(*pair(space), *batch(side))


@pytest.mark.parametrize("space", ["darts", "attention"])
def test_four_nodes_and_wider_maps_equal_the_reference(space: str) -> None:
    fast, plain = pair(space, nodes=4, channels=12, output_node="node_groups", splitting=2)
    assert_equal_everywhere(fast, plain, *batch((8, 8), count=4))


@pytest.mark.parametrize("edges", [1, 2])
def test_large_maps_with_one_or_two_edges_per_block_equal_the_reference(
    edges: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, labels = batch((8, 8))
    monkeypatch.setitem(BLOCK_ELEMENTS, False, edges * len(images) * 4 * 8 * 8)
    assert_equal_everywhere(*pair("darts", nodes=3), images, labels)


@pytest.mark.parametrize("space", ["darts", "hybrid", "attention"])
def test_recomputation_changes_no_number_and_counts_no_batch_twice(space: str) -> None:
    fast, plain = pair(space, recompute=True)
    assert_equal_everywhere(fast, plain, *batch((8, 8)))


@pytest.mark.parametrize("space", ["darts", "hybrid", "attention"])
def test_forward_in_float32_is_within_1e_5(space: str) -> None:
    fast, plain = pair(space, torch.float32)
    images, _ = batch((8, 8), torch.float32)
    torch.testing.assert_close(fast(images), plain(images), rtol=0, atol=1e-5)
    fast.eval()
    plain.eval()
    torch.testing.assert_close(fast(images), plain(images), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("k", "channels"), [(2, 4), (4, 8)])
@pytest.mark.parametrize("recompute", [False, True])
def test_partial_channels_equal_the_reference(k: int, channels: int, recompute: bool) -> None:
    fast, plain = pair("darts", k=k, channels=channels, recompute=recompute)
    assert_equal_everywhere(fast, plain, *batch((8, 8)))


def test_partial_channels_on_odd_images_equal_the_reference() -> None:
    assert_equal_everywhere(*pair("darts", k=2), *batch((9, 7)))


def test_partial_channels_in_spaces_with_attention_equal_the_reference() -> None:
    assert_equal_everywhere(*pair("hybrid", k=2, channels=8), *batch((8, 8)))
    assert_equal_everywhere(*pair("attention", k=2, channels=8), *batch((8, 8)))


@pytest.mark.parametrize("recompute", [False, True])
def test_gradients_of_alphas_alone_equal_those_taken_with_the_weights(recompute: bool) -> None:
    fast, plain = pair("darts", recompute=recompute)
    images, labels = batch((8, 8))
    F.cross_entropy(plain(images), labels).backward()
    for parameter in fast.weight_parameters():
        parameter.requires_grad_(False)
    F.cross_entropy(fast(images), labels).backward()
    for kind in fast.alphas:
        torch.testing.assert_close(fast.alphas[kind].grad, plain.alphas[kind].grad, rtol=0, atol=1e-10)
    assert all(parameter.grad is None for parameter in fast.weight_parameters())


def test_several_training_steps_in_a_row_stay_equal() -> None:
    fast, plain = pair("darts")
    steps = [torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9) for network in (fast, plain)]
    for _ in range(3):
        images, labels = batch((8, 8))
        for network, step in zip((fast, plain), steps, strict=True):
            step.zero_grad()
            F.cross_entropy(network(images), labels).backward()
            step.step()
    for match in matches(fast, plain):
        torch.testing.assert_close(match.part(match.fast.data), match.plain.data, rtol=0, atol=1e-9)
