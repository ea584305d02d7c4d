"""Pruning, quantization and counting of a map: the single pass on the CPU equals the torch operations."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from trials.cost.effective import conv_effective_macs
from trials.device.memory_order import in_memory_order
from trials.feature_maps.quantization import OFF, AffineQuantizer
from trials.ladder.tap_filter import TapCount, TapFilter

LAYOUTS = {
    "channels first": lambda x: x.contiguous(),
    "channels last": lambda x: x.contiguous(memory_format=torch.channels_last),
}


def features(seed: int, *shape: int) -> Tensor:
    """Return a map with zeros, features halfway between two levels, and features beyond the range."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(*shape, generator=generator)
    x[torch.rand(*shape, generator=generator) < 0.3] = 0.0
    return torch.where(torch.rand(*shape, generator=generator) < 0.3, (x * 8).round() / 8, x)


def assert_same(actual: tuple[Tensor, TapCount], expected: tuple[Tensor, TapCount]) -> None:
    (x, count), (expected_x, expected_count) = actual, expected
    assert torch.equal(x, expected_x)
    assert x.stride() == expected_x.stride()
    assert torch.equal(count.histogram, expected_count.histogram)
    assert count.finite == expected_count.finite
    assert count.totals() == pytest.approx(expected_count.totals(), rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    shape=st.tuples(st.integers(1, 5), st.integers(1, 20), st.integers(1, 15), st.integers(1, 15)),
    layout=st.sampled_from(sorted(LAYOUTS)),
    threshold=st.sampled_from([0.0, 0.125, 0.3, 5.0]),
    bits=st.sampled_from([2, 3, 4, 8, OFF]),
    low=st.sampled_from([-3.0, -0.7, 0.0]),
)
def test_the_single_pass_equals_the_torch_operations(
    seed: int, shape: tuple[int, ...], layout: str, threshold: float, bits: int, low: float
) -> None:
    x = LAYOUTS[layout](features(seed, *shape))
    tap_filter = TapFilter(threshold, AffineQuantizer(low, 2.5, bits))
    assert in_memory_order(x) is not None
    assert_same(tap_filter.apply_and_count(x), tap_filter._torch_operations(x))
    assert torch.equal(tap_filter.apply_and_count(x)[0], tap_filter(x))


def test_counts_of_two_batches_are_added() -> None:
    tap_filter = TapFilter(0.1, AffineQuantizer(-1.0, 2.0, 8))
    x = features(1, 6, 8, 5, 5)
    both = tap_filter.apply_and_count(x[:2])[1] + tap_filter.apply_and_count(x[2:])[1]
    assert_same((x, both), (x, tap_filter.apply_and_count(x)[1]))


@pytest.mark.parametrize("bits", [8, OFF])
@pytest.mark.parametrize("threshold", [0.0, 0.1])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_feature_that_is_not_finite_is_detected(value: float, threshold: float, bits: int) -> None:
    x = features(2, 2, 3, 4, 4)
    tap_filter = TapFilter(threshold, AffineQuantizer(-1.0, 2.0, bits))
    assert tap_filter.apply_and_count(x)[1].finite
    x[1, 2, 3, 0] = value
    assert not tap_filter.apply_and_count(x)[1].finite


def test_the_input_is_not_modified_and_returned_as_it_is_without_pruning_and_quantization() -> None:
    x = features(3, 2, 3, 4, 4)
    before = x.clone()
    assert TapFilter(0.0, AffineQuantizer(-1.0, 2.0, OFF)).apply_and_count(x)[0] is x
    for threshold, bits in ((0.3, OFF), (0.3, 4), (0.0, 8)):
        TapFilter(threshold, AffineQuantizer(-1.0, 2.0, bits)).apply_and_count(x)
    assert torch.equal(x, before)


def test_maps_of_other_dtypes_and_strided_maps_take_the_torch_operations() -> None:
    x = features(4, 2, 4, 6, 6)
    for other in (x.double(), x.bfloat16(), x[:, :, ::2], x[:, 1:3], x[:0]):
        assert in_memory_order(other) is None
    tap_filter = TapFilter(0.1, AffineQuantizer(-1.0, 2.0, 8))
    assert torch.equal(tap_filter.apply_and_count(x[:, :, ::2])[0], tap_filter(x[:, :, ::2]))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_effective_macs_do_not_depend_on_the_layout(layout: str) -> None:
    conv = torch.nn.Conv2d(5, 7, 3, stride=2, padding=1)
    x = features(5, 3, 5, 9, 8)
    wide = torch.zeros(3, 5, 9, 16)
    wide[..., ::2] = x
    assert in_memory_order(wide[..., ::2]) is None
    assert conv_effective_macs(conv, LAYOUTS[layout](x)) == conv_effective_macs(conv, wide[..., ::2])
