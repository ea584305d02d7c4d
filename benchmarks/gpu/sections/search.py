"""Search: 100 real steps of a search and of a training on CIFAR-10, and what a whole search would take.

``search_cifar10_min`` is the time of a step times the steps of 50 epochs, at the faster precision. The images are those
of ``--images``; without a file they are random pixels, which take the same time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Protocol

import torch

from benchmarks.gpu.day import Day
from benchmarks.gpu.settings import FULL, TINY
from benchmarks.gpu.workload import (
    CIFAR10_STEPS,
    CLASSES,
    EPOCHS,
    random_images,
    search,
    training,
    trial_config,
)
from benchmarks.harness import Cell
from trials.checkpointing.record import EpochColumns
from trials.config import DataConfig
from trials.data.image_set import Images
from trials.data.loading import load_images

STEPS = 100
PRECISIONS = (("float32", "fp32"), ("bf16", "bf16"))


class RunsEpochs(Protocol):
    """A search or a training."""

    def run_epoch(self, epoch: int) -> EpochColumns:
        """Run an epoch and return its measurements."""


def measure(day: Day) -> None:
    """Run both phases at both precisions."""
    steps, setting = day.pick(STEPS, 1), day.pick(FULL, TINY)
    of_search, source = _images(day, 2 * steps * setting.batch, setting.side)
    of_training, _ = _images(day, steps * setting.batch, setting.side)
    rows: list[list[Cell]] = []
    minutes: dict[str, float] = {}
    for precision, short in PRECISIONS[: 1 if day.tiny else None]:
        config = trial_config(setting, precision)
        name = f"search, {precision}"
        with day.attempt(name):
            seconds, epoch = _second_epoch(search(config, day.device, steps, of_search), day)
            minutes[short] = seconds / steps * CIFAR10_STEPS * EPOCHS / 60
            rows.append([name, 1000 * seconds / steps, epoch["loss"], epoch["accuracy"], minutes[short]])
            day.figure(f"search_cifar10_min_{short}", minutes[short])
            day.figure("search_cifar10_min", min(minutes.values()))
            _check_loss(day, name, epoch)
        name = f"training, {precision}"
        with day.attempt(name):
            seconds, epoch = _second_epoch(training(config, day.device, steps, of_training), day)
            rows.append([name, 1000 * seconds / steps, epoch["loss"], epoch["accuracy"], None])
            _check_loss(day, name, epoch)
            if precision == "float32":
                day.figure("train_step_ms", 1000 * seconds / steps)
        columns = ("phase", "ms a step", "loss", "accuracy", f"min for {EPOCHS} epochs")
        day.table(f"{steps} steps on {source}", columns, rows)


def _images(day: Day, count: int, side: int) -> tuple[Images, str]:
    """Return ``count`` training images, of CIFAR-10 if there is a file, and where they are from."""
    if day.tiny or day.images is None or not day.images.is_file():
        return random_images(count, side, day.device), "random pixels"
    config = DataConfig(name="parquet", path=str(day.images), train_images=count, test_images=64)
    return load_images(config, 0, day.device), "CIFAR-10"


def _second_epoch(phase: RunsEpochs, day: Day) -> tuple[float, EpochColumns]:
    """Return the seconds and the measurements of the second epoch: the first one compiles, allocates, captures."""
    phase.run_epoch(0)
    if day.on_gpu:
        torch.cuda.synchronize(day.device)
    start = time.perf_counter()
    epoch = phase.run_epoch(1)
    if day.on_gpu:
        torch.cuda.synchronize(day.device)
    return time.perf_counter() - start, epoch


def _check_loss(day: Day, name: str, epoch: Mapping[str, object]) -> None:
    """Check that the loss is finite, and on real images below that of guessing."""
    loss = epoch["loss"]
    assert isinstance(loss, float)
    guessing = math.log(CLASSES)
    real = not day.tiny and day.images is not None and day.images.is_file()
    holds = math.isfinite(loss) and (loss < guessing or not real)
    day.check(f"the loss of {name} falls", holds, f"{loss:.3f}, guessing {guessing:.3f}")
