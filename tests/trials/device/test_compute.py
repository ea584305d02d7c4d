"""The numeric policy of a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from pydantic import ValidationError

from trials.config import DeviceConfig, TrialConfig, of_record
from trials.device.compute import Compute

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _default_policy_afterwards() -> Iterator[None]:
    yield
    Compute.of(DeviceConfig(), CPU)


def policy() -> tuple[bool, bool, bool]:
    return (
        torch.backends.cuda.matmul.allow_tf32,
        torch.backends.cudnn.allow_tf32,
        torch.are_deterministic_algorithms_enabled(),
    )


def attention_kernels() -> tuple[bool, bool, bool, bool]:
    """Return which kernels attention may use: the explicit formula, which is deterministic, and three fused ones."""
    of = torch.backends.cuda
    return (
        of.math_sdp_enabled(),
        of.flash_sdp_enabled(),
        of.mem_efficient_sdp_enabled(),
        of.cudnn_sdp_enabled(),
    )


def test_float32_is_float32_unless_tf32_is_asked_for() -> None:
    Compute.of(DeviceConfig(), CPU)
    assert policy() == (False, False, False)
    Compute.of(DeviceConfig(tf32=True, deterministic=True), CPU)
    assert policy() == (True, True, True)
    Compute.of(DeviceConfig(), CPU)  # the next trial of the same process
    assert policy() == (False, False, False)


def test_attention_is_deterministic_on_a_gpu_and_as_ever_on_a_cpu() -> None:
    deterministic = DeviceConfig(deterministic=True)
    Compute.of(deterministic, torch.device("cuda"))
    assert attention_kernels() == (True, False, False, False)
    Compute.of(deterministic, CPU)
    assert attention_kernels() == (True, True, True, True)


def test_steps_are_captured_on_a_gpu_only() -> None:
    assert not Compute.of(DeviceConfig(), CPU).graph


@pytest.mark.parametrize("precision", ["bf16", "float64"])
def test_tf32_is_a_rounding_of_float32(precision: str) -> None:
    with pytest.raises(ValidationError, match=f"`tf32` needs precision float32, but got {precision}"):
        DeviceConfig.model_validate({"precision": precision, "tf32": True})


def test_the_numeric_policy_is_part_of_the_key_where_it_is_not_the_default() -> None:
    plain = TrialConfig()
    others = [TrialConfig(device=DeviceConfig(**{name: True})) for name in ("tf32", "deterministic")]
    assert len({config.trial_key() for config in [plain, *others]}) == 3
    old = plain.model_dump(mode="json")
    for name in ("tf32", "deterministic", "graph"):
        del old["device"][name]
    assert of_record(TrialConfig, old).trial_key() == plain.trial_key()
