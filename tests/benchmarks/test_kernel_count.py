"""Operations and bytes of a step are counted without a GPU, and fused stages need few of them."""

from __future__ import annotations

import pytest
import torch

from benchmarks.kernel_count import Operations, count
from benchmarks.supernet_sizes import ON_GPU, Size

TINY: Size = {"cells": 3, "channels": 4, "image": (3, 8, 8), "batch": 2}


def test_views_and_allocations_are_free_and_other_operators_move_their_inputs_and_outputs() -> None:
    x = torch.ones(4, 8)
    with Operations() as operations:
        x.T.view(8, 4).detach()
        torch.empty(3)
        torch.add(x, x[:1].expand(4, 8))
    assert operations.calls == {"add": 1}
    assert operations.bytes.total() == 4 * (32 + 8 + 32)


def test_a_fused_step_launches_its_kernels_once_a_source_and_reads_nothing_back() -> None:
    calls = count("fused", TINY).calls
    assert calls["convolve"] == 2 * calls["project"] == 2 * calls["pool"] == 2 * 2 * 3 * 5
    assert calls.total() < 700
    assert not {"_local_scalar_dense", "item", "nonzero"} & set(calls)


@pytest.mark.slow
def test_a_fused_step_of_the_usual_size_reaches_its_targets() -> None:
    step = count("fused", ON_GPU, bf16=True)
    assert step.calls.total() <= 1800
    assert step.bytes.total() <= 30e9
