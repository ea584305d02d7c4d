"""A supernet, a cell and a node with fused stages equal those of torch's operations, in float64."""

from __future__ import annotations

import copy
from collections.abc import Callable
from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_space import Supernet
from search_space.feature_map import listening
from search_space.space import SPACES, SearchSpace, Skeleton
from search_space.supernet import projection
from search_space.supernet.fused import FusedNodes, can_fuse, fusing
from search_space.supernet.mixed import MixedNode
from search_space.supernet.sources import SourceForms

DARTS = SPACES["darts"].primitives
CLASSES = 5


SMALL = {
    "small": ("none", "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_3x3"),
    "attentive": ("none", "skip_connect", "sep_conv_3x3", "self_attention"),
    "dilated": ("none", "max_pool_3x3", "skip_connect", "dil_conv_3x3"),
}
"""Spaces for one normal and one reduction cell, without 5x5 convolutions: the interpreter is slow."""


@pytest.fixture(autouse=True)
def _small_spaces(monkeypatch: pytest.MonkeyPatch) -> None:
    skeleton = Skeleton(reductions=(Fraction(1, 2),))
    for name, primitives in SMALL.items():
        monkeypatch.setitem(SPACES, name, SearchSpace(name, primitives, skeleton))


def supernet(space: str, **sizes: object) -> Supernet:
    settings: dict[str, object] = {"cells": 2, "channels": 4, "classes": CLASSES, "nodes": 1}
    network = Supernet(space, **settings | sizes)  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network.double().train()


def assert_fused_equals_torch(
    network: Supernet, batch: int = 2, side: int = 7, run: Callable[[Supernet, Tensor], Tensor] | None = None
) -> None:
    """Compare logits, all gradients and all running statistics."""
    images, labels = (
        torch.randn(batch, 3, side, side, dtype=torch.float64),
        torch.randint(0, CLASSES, (batch,)),
    )
    networks, outs = (network, copy.deepcopy(network)), []
    for candidate, fused in zip(networks, (False, True), strict=True):
        with fusing(fused):
            outs.append(candidate(images) if run is None else run(candidate, images))
            F.cross_entropy(outs[-1], labels).backward()
    assert_close("logits", outs[1], outs[0])
    assert_same_tensors(*networks)


def assert_same_tensors(expected: nn.Module, found: nn.Module) -> None:
    for (name, one), other in zip(expected.named_parameters(), found.parameters(), strict=True):
        assert (one.grad is None) == (other.grad is None), name
        if one.grad is not None and other.grad is not None:
            assert_close(f"gradient of {name}", other.grad, one.grad)
    for (name, buffer), same in zip(expected.named_buffers(), found.buffers(), strict=True):
        assert_close(name, same, buffer)


def assert_close(name: str, found: Tensor, expected: Tensor) -> None:
    scale = float(expected.detach().abs().max()) + 1e-3
    torch.testing.assert_close(
        found, expected, rtol=0, atol=1e-10 * scale, msg=lambda text: f"{name}: {text}", check_stride=False
    )


def test_a_supernet_with_normal_and_reduction_cells_equals_torch() -> None:
    assert_fused_equals_torch(supernet("small", nodes=2))


def test_a_cell_with_attention_equals_torch() -> None:
    assert_fused_equals_torch(supernet("attentive"))


def test_recomputed_cells_with_partial_channels_equal_torch() -> None:
    sizes = {"channels": 8, "partial_channels": 2, "edge_normalization": True, "recompute": True}
    assert_fused_equals_torch(supernet("dilated", **sizes))


def test_a_cell_whose_taps_are_listened_to_equals_torch() -> None:
    def run(network: Supernet, images: Tensor) -> Tensor:
        taps = [name for name, _ in network.named_modules() if name.endswith("sources.0.input")]
        taps += [name for name, _ in network.named_modules() if name.endswith("skip_connect_1.input")]
        assert len(taps) > 1
        with listening(network, dict.fromkeys(taps, lambda x: x * x)):
            return network(images)

    assert_fused_equals_torch(supernet("small"), run=run)


def test_a_node_of_the_whole_space_equals_torch() -> None:
    strides = (1, 1)
    node, gamma = MixedNode(DARTS, 4, strides).double(), torch.rand(2, len(DARTS), dtype=torch.float64)
    forms = [SourceForms(DARTS, 4, stride).double() for stride in strides]
    network = nn.ModuleList([node, *forms])
    other = copy.deepcopy(network)
    x = [torch.randn(2, 4, 5, 7).double().contiguous(memory_format=torch.channels_last) for _ in strides]
    expected = node([form(source) for form, source in zip(forms, x, strict=True)], gamma)
    again = other[0], list(other[1:])
    assert isinstance(again[0], MixedNode)
    sources = [form(source) for form, source in zip(again[1], x, strict=True)]
    found, same = FusedNodes([again[0]], again[1], gamma).node(0, sources)  # type: ignore[arg-type]
    assert torch.equal(found, same)
    gradient = torch.randn_like(expected)
    expected.backward(gradient)
    found.backward(gradient)
    assert_close("the node", found, expected)
    assert_same_tensors(network, other)


def test_without_a_choice_fused_stages_need_a_gpu_and_training(monkeypatch: pytest.MonkeyPatch) -> None:
    network = supernet("small")
    nodes, x = network.cell(0).mixed_nodes(), torch.randn(1, 4, 8, 8)
    assert not can_fuse(nodes, x)
    assert can_fuse(nodes, torch.empty(1, device="meta")) is False
    with fusing(True):
        assert can_fuse(nodes, x)
        assert not can_fuse(nodes, x.half())
        monkeypatch.setattr(projection.ProjectNorm, "group", object())
        assert not can_fuse(nodes, x)
        monkeypatch.undo()
        network.eval()
        assert not can_fuse(nodes, x)


def test_spaces_without_convolutions_use_torch() -> None:
    with fusing(True):
        assert not can_fuse(supernet("attention").cell(0).mixed_nodes(), torch.randn(1, 4, 8, 8))
