"""What a launch refuses because of the GPUs that it found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch

from orchestrator.errors import SweepError
from orchestrator.preflight.gpu_checks import Gpu, gpu_faults, installed_gpus, parsed, refuse_unfit_gpus
from orchestrator.sweep.sweep import Sweep
from trials.config import TrialConfig
from trials.cost.liveness import LiveStorages
from trials.search.darts import frozen
from trials.search.memory_estimate import search_bytes
from trials.search.search import supernet_of

H100 = Gpu("H100", 80 * 2**30, 9.0)
T4 = Gpu("T4", 15 * 2**30, 7.5)
SMALL = Gpu("small", 2**30, 9.0)


def sweep(gpus: float = 1, **trial: Mapping[str, object]) -> Sweep:
    content: dict[str, Any] = {
        "space": {"name": "darts", "cells": 3, "channels": 8, "nodes": 2},
        "data": {"name": "digits", "batch_size": 64},
    }
    for name, block in trial.items():
        content[name] = {**content.get(name, {}), **block}
    swept = {"space.splitting": [1, 2]}
    return Sweep(name="a", sweep=swept, trial=content, resources={"gpus_per_worker": gpus})


def test_gpus_are_read_from_the_listing_of_the_driver() -> None:
    listing = "NVIDIA A100-SXM4-40GB, 40960, 8.0\nTesla, [N/A], 7.0\n\n"
    assert parsed(listing) == [Gpu("NVIDIA A100-SXM4-40GB", 40960 * 2**20, 8.0)]


def test_without_a_driver_there_are_no_gpus_and_no_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert installed_gpus() == []
    refuse_unfit_gpus(sweep(device={"precision": "bf16"}), [("this machine", installed_gpus())])


def test_bf16_needs_a_gpu_that_has_it() -> None:
    nodes = [("one", [H100]), ("two", [H100, T4])]
    assert gpu_faults(sweep(device={"precision": "bf16"}), nodes) == [
        "`device.precision: bf16` needs GPUs of compute capability 8, but T4 on two has 7.5"
    ]
    assert gpu_faults(sweep(), nodes) == []
    assert gpu_faults(sweep(0, device={"precision": "bf16"}), nodes) == []  # trials run on the CPU


def test_a_search_that_does_not_fit_on_its_share_of_a_gpu_is_refused() -> None:
    large = sweep(0.5, data={"image_size": 64, "batch_size": 256})
    with pytest.raises(
        SweepError, match=r"batches of 256 takes about \d+\.\d GB .* but a worker has 0\.0 GB of small on b"
    ):
        refuse_unfit_gpus(large, [("a", [H100]), ("b", [SMALL])])
    assert gpu_faults(large, [("a", [H100])]) == []


def counted_peak(config: TrialConfig) -> int:
    """Return the most bytes that live in a weight step, counted after every operation, with momentum."""
    supernet = supernet_of(config, 1, 10).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.zeros(config.data.batch_size, 1, 8, 8).contiguous(memory_format=torch.channels_last)
    owned = [*supernet.parameters(), *supernet.buffers(), images]
    with frozen(supernet.architecture_parameters()), LiveStorages(owned) as live:
        supernet(images).sum().backward()
    return live.most + 2 * sum(4 * parameter.numel() for parameter in supernet.parameters())


def test_the_estimate_grows_with_the_batch_and_halves_with_the_workers() -> None:
    config = sweep().trial
    one, two = (search_bytes(config, (1, 8, 8), 10, workers) for workers in (1, 2))
    assert one is not None
    assert two is not None
    assert 1.8 < one / two < 2.0  # the weights do not shrink
    assert one == pytest.approx(counted_peak(config), rel=0.1)
    recomputed = sweep(search={"recompute": True}).trial
    assert search_bytes(recomputed, (1, 8, 8), 10, 1) is None
