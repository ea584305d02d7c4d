"""Latency: what is timed at each rung, and how the times become columns."""

from __future__ import annotations

import itertools
import socket

import pytest
import torch
from torch import Tensor, nn

from search_space.feature_map import listening
from tests.trials.tiny import CPU, network_of
from trials.config import Rung
from trials.device.compute import Compute
from trials.feature_maps.deployed import deploy
from trials.ladder.latency import RUNS, WARM_UP, Program, latency_columns
from trials.ladder.preparation import Preparation

COMPUTE = Compute(CPU, "float32")
RUNGS = [
    Rung(threshold=t, threshold_mode="absolute", weight_bits=w, feature_map_bits=f, codec=c)
    for t, w, f, c in [(0.0, 32, 32, "best"), (0.0, 32, 32, "none"), (0.1, 8, 8, "best")]
]


def test_every_rung_is_timed_as_it_is_deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    network = network_of()
    calibration = [(torch.randn(4, 1, 8, 8), torch.zeros(4, dtype=torch.int64))]
    preparation = Preparation(network, calibration, COMPUTE)
    timed: list[tuple[Program, int]] = []

    def seconds(program: Program, images: Tensor, compute: Compute) -> float:
        timed.append((program, len(images)))
        return next(clock)

    clock = itertools.cycle(
        [9.0] * 2 * WARM_UP + [i / 1000 for run in range(1, RUNS + 1) for i in (run, 100 * run)]
    )
    monkeypatch.setattr(Program, "seconds", seconds)
    rows = latency_columns(preparation, RUNGS, (1, 8, 8))

    assert [batch for _, batch in timed] == [1] * 2 * (WARM_UP + RUNS) + [64] * 2 * (WARM_UP + RUNS)
    plain, quantized = timed[0][0], timed[1][0]
    assert all(
        timed[i][0] == (plain, quantized)[i % 2] for i in range(len(timed))
    )  # in turn; the codec runs nothing
    assert rows[0] == rows[1]
    for row, factor in zip(
        rows[1:], (1, 100), strict=True
    ):  # of 1, 2, ... 15 ms: the median 8, the quartiles 4.5, 11.5
        values = {"ms": 8.0 * factor, "spread_ms": 7.0 * factor}
        expected = {f"latency_{batch}_{name}": value for batch in (1, 64) for name, value in values.items()}
        assert row == pytest.approx(expected | {"latency_host": socket.gethostname()})

    images = torch.randn(3, 1, 8, 8)
    filters = preparation.filters(RUNGS[2])
    with torch.no_grad():
        with listening(network, {}):
            torch.testing.assert_close(plain.network(images), network(images))
        reference = deploy(network, 8).network
        with listening(reference, filters), listening(quantized.network, quantized.listeners):
            assert torch.equal(quantized.network(images), reference(images))
    for program in (plain, quantized):
        assert not any(isinstance(module, nn.BatchNorm2d) for module in program.network.modules())
    assert plain.listeners == {}


def test_a_pass_is_timed() -> None:
    program = Program(nn.Identity(), {})
    assert 0 < program.seconds(torch.randn(1, 1, 4, 4), COMPUTE) < 5
