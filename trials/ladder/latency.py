"""Inference latency of every rung on the device of this process: warm-up, then timed rounds over all rungs.

What is timed is the deployed form: batch norms are folded, weights have their quantized values, and maps are pruned and
quantized as when the accuracy is measured. All arithmetic is that of ``device.precision``. So pruning and quantization
take time here, and save none: an accelerator that skips zeros and computes with integers is another machine.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from search_space.feature_map import Listener, listening
from trials.config import Rung
from trials.device.compute import Compute
from trials.feature_maps.deployed import fold
from trials.feature_maps.quantization import OFF
from trials.heartbeat import beating
from trials.ladder.preparation import Preparation

WARM_UP, RUNS = 3, 15
"""Untimed and timed rounds."""
BATCHES = (1, 64)
"""Batch sizes."""


@dataclass(frozen=True)
class Program:
    """The network as deployed at a rung: weights, and what happens to its maps."""

    network: nn.Module
    listeners: Mapping[str, Listener]

    def seconds(self, images: Tensor, compute: Compute) -> float:
        """Return how long one pass over ``images`` [B, C, H, W] takes."""
        with listening(self.network, self.listeners), compute.autocast():
            _synchronize(compute)
            start = time.perf_counter()
            self.network(images)
            _synchronize(compute)
            return time.perf_counter() - start


def latency_columns(
    preparation: Preparation, rungs: Sequence[Rung], image_shape: tuple[int, int, int]
) -> list[dict[str, object]]:
    """Return the latency columns of the points table, one row per rung.

    Rungs that differ only in the codec run the same program, and are timed once. Each round times every program once,
    so that a slow phase of the machine affects all of them alike.

    Args:
        preparation: the trained network, and what its calibration images decide.
        rungs: all rungs of the trial: a comparison of rungs needs one host, at one time.
        image_shape: [C, H, W] of an image; the pixels are random numbers.
    """
    programs, compute = _programs(preparation, [_without_codec(rung) for rung in rungs]), preparation.compute
    columns: dict[Rung, dict[str, object]] = {
        rung: {"latency_host": socket.gethostname()} for rung in programs
    }
    for batch in BATCHES:
        for rung, seconds in _time(programs, (batch, *image_shape), compute).items():
            low, median, high = 1000 * np.quantile(seconds, [0.25, 0.5, 0.75])
            columns[rung] |= {
                f"latency_{batch}_ms": float(median),
                f"latency_{batch}_spread_ms": float(high - low),
            }
    return [columns[_without_codec(rung)] for rung in rungs]


@torch.no_grad()
def _time(
    programs: Mapping[Rung, Program], shape: tuple[int, ...], compute: Compute
) -> dict[Rung, list[float]]:
    """Return the seconds of every timed round, by rung."""
    images = torch.randn(
        *shape, device=compute.device, dtype=compute.dtype, generator=torch.Generator(compute.device)
    ).contiguous(memory_format=torch.channels_last)
    seconds: dict[Rung, list[float]] = {rung: [] for rung in programs}
    for _ in beating(range(WARM_UP + RUNS)):
        for rung, program in programs.items():
            seconds[rung].append(program.seconds(images, compute))
    return {rung: of_rung[WARM_UP:] for rung, of_rung in seconds.items()}


def _programs(preparation: Preparation, rungs: Sequence[Rung]) -> dict[Rung, Program]:
    folded: dict[int, nn.Module] = {}  # by identity of the deployed network, which several rungs may share
    programs = {}
    for rung in dict.fromkeys(rungs):
        deployed = preparation.deployed(rung).network
        if id(deployed) not in folded:
            folded[id(deployed)] = deepcopy(deployed)
            if rung.weight_bits == OFF:
                fold(folded[id(deployed)])
        changes = rung.threshold or rung.feature_map_bits != OFF
        filters = preparation.filters(rung) if changes else {}
        listeners = {name: filter_.apply for name, filter_ in filters.items()}
        programs[rung] = Program(folded[id(deployed)], listeners)
    return programs


def _without_codec(rung: Rung) -> Rung:
    return rung.model_copy(update={"codec": ""})


def _synchronize(compute: Compute) -> None:
    if compute.device.type == "cuda":
        torch.cuda.synchronize(compute.device)
