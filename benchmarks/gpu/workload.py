"""The work that is measured: the search and the training of this project at one size, on images that are made here.

A search is timed through its ``run_epoch`` alone, on so many images that an epoch has the wanted number of steps. So
augmentation, both optimizers and what ends an epoch are included, and whatever the search does inside is measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from benchmarks.gpu.plain_search import PlainSearch
from benchmarks.gpu.settings import FULL, Setting
from benchmarks.regularization import CONVOLUTIONS
from trials.config import DeviceConfig, TrialConfig
from trials.data.image_set import Images, ImageSet
from trials.device.compute import Compute
from trials.device.parallel import Mesh
from trials.search.search import Search
from trials.train.training import Training

CLASSES = 10
EPOCHS = 50
"""Epochs of a whole search, for the learning rates."""
CIFAR10_STEPS = 390
"""Steps of a search epoch on CIFAR-10: half of the 50,000 training images, in batches of 64."""


def trial_config(setting: Setting, precision: str = "float32", **blocks: Mapping[str, object]) -> TrialConfig:
    """Return the configuration of a trial at this size; ``blocks`` override fields of its blocks."""
    content: dict[str, Any] = {
        "space": {
            "cells": setting.cells, "channels": setting.channels, "nodes": setting.nodes, "output_node": "concat",
        },
        "data": {
            "name": "cifar10", "image_size": setting.side, "batch_size": setting.batch, "crop_padding": 4, "flip": True,
        },
        "search": {"epochs": EPOCHS},
        "train": {"epochs": EPOCHS},
        "device": {"precision": precision},
    }  # fmt: skip
    for name, block in blocks.items():
        content[name] = {**content.get(name, {}), **block}
    return TrialConfig.model_validate(content)


def device_option(name: str) -> bool:
    """Return whether the ``device:`` block of this checkout has a field of this name."""
    return name in DeviceConfig.model_fields


def random_images(count: int, side: int, device: torch.device, tests: int = 64) -> Images:
    """Return ``count`` training images of random pixels [3, side, side], and ``tests`` test images."""
    generator = torch.Generator().manual_seed(1)
    mean, std = torch.full((2, 3), 0.5, dtype=torch.float64, device=device).unbind()

    def made(images: int) -> ImageSet:
        pixels = torch.randint(0, 256, (images, 3, side, side), dtype=torch.uint8, generator=generator)
        labels = torch.randint(0, CLASSES, (images,), generator=generator)
        return ImageSet(pixels.to(device), labels.to(device), mean, std)

    return Images(made(count), made(tests), CLASSES)


def search(config: TrialConfig, device: torch.device, steps: int, images: Images | None = None) -> Search:
    """Return a search whose epoch has ``steps`` steps, on random images unless there are others."""
    torch.manual_seed(config.seed)
    images = images or _images_for(config, 2 * steps, device)
    return Search(config, images, Compute.of(config.device, device), Mesh())


def plain_search(config: TrialConfig, device: torch.device, steps: int) -> PlainSearch:
    """Return the same search in the textbook way."""
    torch.manual_seed(config.seed)
    images = _images_for(config, 2 * steps, device)
    return PlainSearch(config, images, Compute.of(config.device, device))


def training(config: TrialConfig, device: torch.device, steps: int, images: Images | None = None) -> Training:
    """Return a training of published cells whose epoch has ``steps`` steps."""
    torch.manual_seed(config.seed)
    images = images or _images_for(config, steps, device)
    return Training(config, CONVOLUTIONS, images, Compute.of(config.device, device), Mesh())


def _images_for(config: TrialConfig, batches: int, device: torch.device) -> Images:
    return random_images(batches * config.data.batch_size, config.data.image_size or FULL.side, device)
