"""Quantization: rounding error, exact zeros, symbols for the codecs, and batch-norm folding."""

from __future__ import annotations

from typing import TypedDict

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from trials import coding
from trials.feature_maps.quantization import (
    AffineQuantizer,
    check_bits,
    count_without_waiting,
    fake_quantize_weight,
    fold_batch_norm,
    quantize_weight,
)

BITS = st.integers(2, 8)
SEEDS = st.integers(0, 2**31)
BOUNDS = st.floats(-1e4, 1e4, allow_subnormal=False)


def random_weight(seed: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    spread = torch.logspace(-3, 3, shape[0], dtype=dtype).view(-1, *[1] * (len(shape) - 1))
    return torch.randn(shape, generator=generator, dtype=dtype) * spread


@pytest.mark.parametrize("bits", [1, 0, 9, 16, 31, 33, -8, 8.0, True, "8"])
def test_bits_outside_of_2_to_8_and_32_are_refused(bits: int) -> None:
    message = f"`bits` must be 2 to 8, or 32 for off, but got {bits!r}"
    for call in (
        check_bits,
        lambda b: AffineQuantizer(0, 1, b),
        lambda b: quantize_weight(torch.ones(2, 2), b),
    ):
        with pytest.raises(ValueError, match=message):
            call(bits)


def test_32_bits_change_nothing_and_have_no_symbols() -> None:
    weight = torch.randn(3, 4)
    quantizer = AffineQuantizer(-1.0, 1.0, 32)
    assert fake_quantize_weight(weight, 32) is weight
    assert quantizer(weight) is weight
    for call in (
        lambda: quantize_weight(weight, 32),
        lambda: quantizer.symbols(weight),
        lambda: quantizer.dequantize(torch.zeros(2, dtype=torch.uint8)),
    ):
        with pytest.raises(ValueError, match="2 to 8 for symbols, but got 32, which is off"):
            call()


# Weights


@settings(max_examples=60, deadline=None)
@given(SEEDS, BITS, st.sampled_from([(6, 5), (6,), (6, 2, 3, 3), (6, 4, 1, 1)]))
def test_no_weight_changes_by_more_than_half_a_scale_of_its_channel(
    seed: int, bits: int, shape: tuple[int, ...]
) -> None:
    weight = random_weight(seed, *shape)
    quantized = quantize_weight(weight, bits)
    scale = quantized.scale.view(-1, *[1] * (len(shape) - 1))
    assert quantized.symbols.dtype == torch.int8
    assert quantized.scale.shape == (6,)
    assert quantized.symbols.abs().max() == 2 ** (bits - 1) - 1
    error = (quantized.dequantize() - weight).abs()
    assert (error <= scale * (0.5 + 1e-4)).all()
    assert torch.equal(fake_quantize_weight(weight, bits), quantized.dequantize())


def test_each_channel_has_its_own_scale_and_keeps_its_largest_weight() -> None:
    weight = torch.tensor([[1.27, -0.5, 0.0], [0.0, 0.0, 0.0], [-127.0, 1.4, 1.6]])
    quantized = quantize_weight(weight, 8)
    assert quantized.symbols.tolist() == [[127, -50, 0], [0, 0, 0], [-127, 1, 2]]
    assert quantized.scale.tolist() == pytest.approx([0.01, 1.0, 1.0])


def test_quantizing_a_quantized_weight_again_changes_nothing() -> None:
    weight = fake_quantize_weight(random_weight(0, 8, 16), 5)
    assert torch.equal(quantize_weight(weight, 5).symbols, quantize_weight(weight.clone(), 5).symbols)
    assert torch.allclose(fake_quantize_weight(weight, 5), weight, rtol=1e-6)


def test_a_weight_is_not_changed_in_place_and_may_be_empty() -> None:
    weight = random_weight(1, 4, 3).requires_grad_()
    before = weight.detach().clone()
    assert not quantize_weight(weight, 4).scale.requires_grad
    assert torch.equal(weight.detach(), before)
    assert quantize_weight(torch.empty(3, 0), 8).dequantize().shape == (3, 0)
    assert quantize_weight(torch.empty(0, 3), 8).dequantize().shape == (0, 3)


def test_a_half_precision_weight_keeps_its_dtype_and_its_small_channels() -> None:
    weight = random_weight(2, 6, 50).to(torch.float16) / 64
    stored = fake_quantize_weight(weight, 8)
    assert stored.dtype == torch.float16
    assert (stored.abs().amax(1) - weight.abs().amax(1) == 0).all()


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (torch.tensor([[1.0, float("nan")]]), "but got 1 of 2 that are not"),
        (torch.tensor([[float("inf")] * 3]), "but got 3 of 3 that are not"),
        (torch.tensor(1.0), "but got a single number"),
    ],
)
def test_a_weight_that_is_not_finite_is_refused(weight: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=f"`weight` must be finite, .*{message}"):
        quantize_weight(weight, 8)


# Feature maps


@st.composite
def quantizers(draw: st.DrawFn) -> AffineQuantizer:
    low, high = sorted((draw(BOUNDS), draw(BOUNDS)))
    return AffineQuantizer(low, high, draw(BITS))


def values_in(quantizer: AffineQuantizer, number: int = 400) -> Tensor:
    low, high = min(quantizer.low, 0.0), max(quantizer.high, 0.0)
    return torch.cat(
        (torch.linspace(low, high, number, dtype=torch.float64), torch.zeros(1, dtype=torch.float64))
    )


@settings(max_examples=150, deadline=None)
@given(quantizers())
def test_no_feature_in_range_changes_by_more_than_half_a_scale_and_zero_not_at_all(
    quantizer: AffineQuantizer,
) -> None:
    x = values_in(quantizer)
    stored = quantizer(x)
    assert ((stored - x).abs() <= quantizer.scale * (0.5 + 1e-9)).all()
    assert (stored[x == 0] == 0).all()
    assert (quantizer.symbols(x)[x == 0] == 0).all()
    assert 0 <= quantizer.zero_point <= 2**quantizer.bits - 1


@settings(max_examples=150, deadline=None)
@given(quantizers(), st.sampled_from([torch.float32, torch.float64, torch.bfloat16]))
def test_dequantized_symbols_equal_the_result_of_the_quantizer(
    quantizer: AffineQuantizer, dtype: torch.dtype
) -> None:
    x = (values_in(quantizer) * 1.5).to(dtype)
    symbols = quantizer.symbols(x)
    assert symbols.dtype == torch.uint8
    assert symbols.max() <= 2**quantizer.bits - 1
    assert quantizer(x).dtype == dtype
    assert torch.equal(quantizer.dequantize(symbols, dtype), quantizer(x))


@settings(max_examples=100, deadline=None)
@given(quantizers(), SEEDS)
def test_quantize_and_count_equals_quantizing_and_then_counting(
    quantizer: AffineQuantizer, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    spread = 1.5 * max(abs(quantizer.low), abs(quantizer.high))
    x = (torch.rand(2, 3, 5, 4, generator=generator) * 2 - 1) * spread
    for features in (x, x.to(memory_format=torch.channels_last), x.to(torch.bfloat16)):
        stored, histogram = quantizer.quantize_and_count(features)
        assert torch.equal(stored, quantizer(features))
        assert stored.dtype == features.dtype
        symbols = quantizer.symbols(features).flatten().long()
        assert torch.equal(histogram, torch.bincount(symbols, minlength=256))


@settings(max_examples=100, deadline=None)
@given(quantizers())
def test_every_level_has_its_own_symbol_and_larger_symbols_are_not_closer_to_zero(
    quantizer: AffineQuantizer,
) -> None:
    symbols = torch.arange(2**quantizer.bits, dtype=torch.uint8)
    values = quantizer.dequantize(symbols, torch.float64)
    assert len(values.unique()) == 2**quantizer.bits
    assert torch.equal(quantizer.symbols(values), symbols)
    distances = (values / quantizer.scale).round().abs()
    assert (distances.diff() >= 0).all()


def test_symbols_alternate_around_zero_and_then_follow_the_longer_side() -> None:
    right = AffineQuantizer(-2.0, 5.0, 3)
    assert (right.scale, right.zero_point) == (1.0, 2)
    assert right.dequantize(torch.arange(8, dtype=torch.uint8)).tolist() == [0, -1, 1, -2, 2, 3, 4, 5]
    left = AffineQuantizer(-6.0, 1.0, 3)
    assert left.dequantize(torch.arange(8, dtype=torch.uint8)).tolist() == [0, -1, 1, -2, -3, -4, -5, -6]


def test_symbols_behind_a_relu_are_its_levels() -> None:
    x = torch.tensor([0.0, 0.1, 1.2, 25.5, 99.0])
    assert AffineQuantizer(0.0, 25.5, 8).symbols(x).tolist() == [0, 1, 12, 255, 255]
    assert AffineQuantizer(3.0, 25.5, 8).symbols(x).tolist() == [0, 1, 12, 255, 255]  # the range holds zero


def test_values_outside_of_the_range_become_its_ends() -> None:
    quantizer = AffineQuantizer(-1.0, 2.0, 2)
    x = torch.tensor([-float("inf"), -9.0, 9.0, float("inf"), float("nan")])
    stored = quantizer(x)
    assert stored[:4].tolist() == [-1.0, -1.0, 2.0, 2.0]
    assert stored[4].isnan()


@pytest.mark.parametrize("high", [0.0, 5e-324, 1e-44])
def test_a_map_of_zeros_or_of_subnormal_values_becomes_zeros(high: float) -> None:
    quantizer = AffineQuantizer(0.0, high, 8)
    assert quantizer(torch.tensor([0.0, 1e-44])).tolist() == [0, 0]
    assert quantizer(torch.zeros(3)).tolist() == [0, 0, 0]
    assert quantizer.symbols(torch.zeros(3)).tolist() == [0, 0, 0]


@pytest.mark.parametrize(("low", "high"), [(1.0, 0.0), (float("nan"), 1.0), (0.0, float("inf"))])
def test_an_invalid_range_is_refused(low: float, high: float) -> None:
    with pytest.raises(ValueError, match=f"finite and in order, but got {low} and {high}"):
        AffineQuantizer(low, high, 8)


def test_thresholded_features_take_the_fewest_bits_whatever_the_zero_point() -> None:
    x = torch.randn(4000, generator=torch.Generator().manual_seed(0))
    sparse = torch.where(x.abs() < 1.0, torch.zeros(()), x)
    quantizer = AffineQuantizer(-4.0, 3.0, 8)
    symbols = quantizer.symbols(sparse)
    assert (symbols == 0).sum() == (sparse == 0).sum()
    assert coding.size_in_bits(symbols, "best") < 0.7 * coding.size_in_bits(quantizer.symbols(x), "best")


# Batch norm


class Form(TypedDict, total=False):
    stride: int
    dilation: int
    groups: int


def trained(bn: nn.BatchNorm2d, channels: int, seed: int) -> nn.BatchNorm2d:
    generator = torch.Generator().manual_seed(seed)
    assert bn.running_mean is not None
    assert bn.running_var is not None
    bn.running_mean.copy_(torch.randn(channels, generator=generator))
    bn.running_var.copy_(torch.rand(channels, generator=generator) * 4)
    if bn.affine:
        with torch.no_grad():
            bn.weight.copy_(torch.randn(channels, generator=generator))
            bn.bias.copy_(torch.randn(channels, generator=generator))
    return bn.eval()


@settings(max_examples=30, deadline=None)
@given(
    seed=SEEDS,
    affine=st.booleans(),
    biased=st.booleans(),
    form=st.sampled_from([{}, {"stride": 2}, {"dilation": 2}, {"groups": 3}]),
)
def test_the_folded_convolution_computes_convolution_and_batch_norm(
    seed: int, affine: bool, biased: bool, form: Form
) -> None:
    torch.manual_seed(seed)
    conv = nn.Conv2d(3, 6, 3, padding=2, bias=biased, **form).double()
    bn = trained(nn.BatchNorm2d(6, affine=affine).double(), 6, seed)
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    before = conv.weight.clone()
    weight, bias = fold_batch_norm(conv.weight, bn, conv.bias)
    folded = F.conv2d(x, weight, bias, padding=2, **form)
    torch.testing.assert_close(folded, bn(conv(x)), rtol=1e-10, atol=1e-10)
    assert torch.equal(conv.weight, before)
    assert not weight.requires_grad


def test_folding_keeps_the_dtype_of_the_weight() -> None:
    bn = trained(nn.BatchNorm2d(6), 6, 0)
    weight, bias = fold_batch_norm(torch.randn(6, 3, 1, 1), bn)
    assert (weight.dtype, bias.dtype) == (torch.float32, torch.float32)


def test_a_batch_norm_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="the 6 output channels of the weight, but got 4"):
        fold_batch_norm(torch.randn(6, 3, 1, 1), nn.BatchNorm2d(4))
    with pytest.raises(ValueError, match="running statistics, but got track_running_stats=False"):
        fold_batch_norm(torch.randn(6, 3, 1, 1), nn.BatchNorm2d(6, track_running_stats=False))


def test_a_gpu_counts_levels_without_waiting() -> None:
    values = torch.randint(0, 200, (5000,), dtype=torch.uint8)
    assert torch.equal(count_without_waiting(values, 256), torch.bincount(values, minlength=256))
