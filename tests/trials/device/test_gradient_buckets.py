"""Gradients that leave in buckets; the ranks themselves are tested in ``test_parallel``."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from trials.device.gradient_buckets import GradientBuckets
from trials.device.parallel import Mesh


class Work:
    """A reduction that is done at once."""

    def wait(self) -> None:
        """Return at once."""


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Record messages, and let the other of two ranks have gradients of zero."""
    sent: list[Any] = []

    def all_reduce(flat: Tensor, group: object, async_op: bool) -> Work:
        assert async_op
        sent.append(flat.numel())
        return Work()

    monkeypatch.setattr(dist, "all_reduce", all_reduce)
    return sent


TWO = Mesh(0, 2, cast(dist.ProcessGroup, object()))


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(4, 5, bias=False), nn.Linear(5, 6, bias=False), nn.Linear(6, 7, bias=False)
    )


def test_a_bucket_leaves_before_the_backward_pass_has_ended(messages: list[Any]) -> None:
    layers = network()
    buckets = GradientBuckets(layers.parameters(), TWO, bucket_bytes=1)
    layers.get_parameter("0.weight").register_post_accumulate_grad_hook(
        lambda _: messages.append("first layer")
    )
    with buckets.averaging():
        layers(torch.ones(3, 4)).sum().backward()
    assert messages[:2] == [42, 30]  # the last layer, then the middle one
    assert sorted(map(str, messages[2:])) == ["20", "first layer"]


def test_gradients_become_means_over_the_ranks(messages: list[Any]) -> None:
    layers = network()
    layers(torch.ones(3, 4)).sum().backward()
    alone = [parameter.grad for parameter in layers.parameters()]
    layers.zero_grad()
    buckets = GradientBuckets(layers.parameters(), TWO)
    with buckets.averaging():
        layers(torch.ones(3, 4)).sum().backward()
    assert messages == [42 + 30 + 20]  # all in one bucket
    for parameter, gradient in zip(layers.parameters(), alone, strict=True):
        assert gradient is not None
        torch.testing.assert_close(parameter.grad, gradient / 2)


def test_parameters_without_gradients_hold_nothing_up(messages: list[Any]) -> None:
    layers = network()
    buckets = GradientBuckets(layers.parameters(), TWO, bucket_bytes=1)
    layers.get_parameter("2.weight").requires_grad_(False)
    with buckets.averaging():
        layers(torch.ones(3, 4)).sum().backward()
    assert messages == [30, 20]


def test_nothing_is_sent_outside_of_averaging_or_by_a_single_rank(messages: list[Any]) -> None:
    layers = network()
    GradientBuckets(layers.parameters(), TWO)
    single = GradientBuckets(layers.parameters(), Mesh())
    with single.averaging():
        layers(torch.ones(3, 4)).sum().backward()
    assert messages == []
