"""The gradients of a cell's nodes come together in one tensor, also where some are missing."""

from __future__ import annotations

import torch
from torch import Tensor

from search_space.supernet.fused.gradients import NodeGradients

SHAPE = (2, 4, 3, 5)


def map_and_rows() -> tuple[Tensor, Tensor]:
    x = torch.randn(SHAPE)
    return x, x.permute(0, 2, 3, 1).reshape(-1, 4)


def test_each_source_gets_the_gradients_of_all_later_nodes() -> None:
    gradients, like = NodeGradients(2), torch.empty(0)
    (one, of_one), (two, of_two), (three, of_three) = map_and_rows(), map_and_rows(), map_and_rows()
    last = gradients.of_last(1, [None, one], None, SHAPE, like)
    assert torch.equal(last, of_one[None])
    both = gradients.of_last(2, [two, three], last, SHAPE, like)
    assert torch.equal(both, torch.stack([of_two + of_three, of_one]))
    assert both[1].data_ptr() == last[0].data_ptr(), "nothing is copied"
    first = gradients.of_last(2, None, both, SHAPE, like)
    assert first.data_ptr() == both.data_ptr()


def test_a_gradient_that_is_missing_is_zero_and_one_from_elsewhere_is_copied() -> None:
    gradients, like = NodeGradients(3), torch.empty(0)
    one, of_one = map_and_rows()
    found = gradients.of_last(3, [one, None], None, SHAPE, like)
    assert torch.equal(found, torch.stack([of_one, torch.zeros_like(of_one), torch.zeros_like(of_one)]))
    elsewhere = torch.randn(2, *of_one.shape)
    found = NodeGradients(3).of_last(3, [None, None], elsewhere, SHAPE, like)
    assert torch.equal(found, torch.cat([torch.zeros(1, *of_one.shape), elsewhere]))
