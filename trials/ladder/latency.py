"""Inference latency on the device of this process: warm-up, then the median of timed runs."""

from __future__ import annotations

import time
from statistics import median

import torch
from torch import nn

from trials.device.compute import Compute
from trials.heartbeat import beating

WARM_UP, RUNS = 3, 15
"""Untimed and timed runs."""


@torch.no_grad()
def latency_ms(network: nn.Module, image_shape: tuple[int, int, int], batch: int, compute: Compute) -> float:
    """Return the median latency of ``network`` in evaluation mode, in milliseconds.

    Args:
        network: the network, on the device of ``compute``.
        image_shape: [C, H, W] of an image.
        batch: number of images, filled with random numbers.
        compute: device and number format.
    """
    images = torch.randn(
        batch,
        *image_shape,
        device=compute.device,
        dtype=compute.dtype,
        generator=torch.Generator(compute.device),
    )
    images = images.contiguous(memory_format=torch.channels_last)
    network.eval()
    times = []
    for _ in beating(range(WARM_UP + RUNS)):
        _synchronize(compute)
        start = time.perf_counter()
        with compute.autocast():
            network(images)
        _synchronize(compute)
        times.append(time.perf_counter() - start)
    return 1000 * median(times[WARM_UP:])


def _synchronize(compute: Compute) -> None:
    if compute.device.type == "cuda":
        torch.cuda.synchronize(compute.device)
