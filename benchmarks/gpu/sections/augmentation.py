"""Augmentation: images a second that are indexed, cropped, flipped, normalized and cut out on the device.

``of a step`` is the share of a search step that augmentation takes: a step has two batches.
"""

from __future__ import annotations

import torch

from benchmarks.gpu.day import Day
from benchmarks.gpu.timing import milliseconds
from benchmarks.gpu.workload import random_images
from benchmarks.harness import Cell
from trials.data.augmentation import Augmentation, Normalization, augment
from trials.data.seeds import RandomStream, generator

AUGMENTATION = Augmentation(crop_padding=4, flip=True, cutout=16)


def measure(day: Day) -> None:
    """Time one batch, eager and replayed in a graph, at two batch sizes."""
    side = day.pick(32, 8)
    images = random_images(day.pick(10_000, 64), side, day.device).train
    normalize = Normalization(images.mean, images.std, torch.float32)
    rows: list[list[Cell]] = []
    for batch in day.pick((64, 256), (8,)):
        draws = AUGMENTATION.draw(batch, images.shape, generator(0, RandomStream.AUGMENTATION)).to(day.device)
        order = torch.randperm(len(images))[:batch].to(day.device)

        def call(order: torch.Tensor = order, draws: torch.Tensor = draws) -> torch.Tensor:
            pixels, _ = next(images.stream(order, [slice(None)]))
            return augment(pixels, draws, AUGMENTATION, normalize)

        with day.attempt(f"batch {batch}"):
            ms = milliseconds(call, day.device, day.pick(100, 2))
            rows.append([batch, "eager", ms, 1000 * batch / ms, _share(day, batch, ms)])
            day.table("a batch", ("batch", "how", "ms", "images/s", "of a step"), rows)
            if batch == 64:
                day.figure("augmented_images_per_s", 1000 * batch / ms)
        if day.on_gpu:
            with day.attempt(f"batch {batch}, captured"):
                graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph):
                    call()
                ms = milliseconds(graph.replay, day.device, 100)
                rows.append([batch, "captured", ms, 1000 * batch / ms, _share(day, batch, ms)])
                day.table("a batch", ("batch", "how", "ms", "images/s", "of a step"), rows)


def _share(day: Day, batch: int, ms: float) -> float | None:
    """Return two batches over a step in float32; None if that was not measured, or at another batch size."""
    step = day.earlier.get("step_ms_fp32")
    return 2 * ms / step if step and batch == 64 and not day.tiny else None
