"""Configurations, contexts and networks for tests: trials that take a second."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from results import RunDirectory
from results.record_types import JsonObject
from search_space import Genotype, Network
from trials import TrialConfig, TrialContext
from trials.context import Report
from trials.data.loading import Images, load_images
from trials.device.compute import Compute

CPU = torch.device("cpu")
LADDER = {"threshold": [0.0, 0.1], "weight_bits": [32, 8], "feature_map_bits": [32, 8], "codec": ["best"]}

CONVOLUTIONS = Genotype.parse(
    "Genotype(normal=[('sep_conv_3x3', 0), ('dil_conv_5x5', 1), ('skip_connect', 0), ('max_pool_3x3', 2)], "
    "normal_concat=[2, 3], reduce=[('skip_connect', 0), ('sep_conv_5x5', 1), ('avg_pool_3x3', 0), "
    "('dil_conv_3x3', 2)], reduce_concat=[2, 3])"
)
ATTENTION = Genotype.parse(
    "Genotype(normal=[('self_attention_2h', 0), ('mlp_2x', 1), ('window_attention', 0), ('dw_conv_3x3', 2)], "
    "normal_concat=[2, 3])"
)


def tiny_config(space_name: str = "darts", /, **blocks: Mapping[str, object]) -> TrialConfig:
    """Return a configuration with 128 images and 32 for validation, two epochs a phase; ``blocks`` override fields."""
    content: dict[str, Any] = {
        "seed": 3,
        "space": {"name": space_name, "cells": 3, "channels": 4, "nodes": 2},
        "data": {
            "name": "digits",
            "batch_size": 32,
            "train_images": 160,
            "validation_share": 0.2,
            "test_images": 64,
        },
        "search": {"epochs": 2, "alpha_learning_rate": 0.05},
        "train": {"epochs": 2},
        "ladder": LADDER,
    }
    for field, block in blocks.items():
        content[field] = {**content.get(field, {}), **block}
    return TrialConfig.model_validate(content)


def images_of(config: TrialConfig) -> Images:
    return load_images(config.data, config.seed, CPU)


def compute_of(config: TrialConfig) -> Compute:
    return Compute.of(config.device, CPU)


def ignore(row: JsonObject) -> None:
    """Do not report."""


def context_in(
    folder: Path, report: Report = ignore, *, rank: int = 0, world_size: int = 1, address: str | None = None
) -> TrialContext:
    directory = RunDirectory(folder, create=True)
    return TrialContext(directory, 7, "tiny", report, rank, world_size, address)


def network_of(kind: str = "convolutions", dtype: torch.dtype = torch.float32, **sizes: int | str) -> Network:
    """Return a small network in evaluation mode; its running statistics and norms differ from the initial ones."""
    space, genotype = ("attention", ATTENTION) if kind == "attention" else ("darts", CONVOLUTIONS)
    shared: dict[str, Any] = {"channels": 4, "cells": 3, "classes": 10, "image_channels": 1, **sizes}
    network = Network(genotype, space=space, **shared).to(dtype)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.dim() == 1 or "position" in name:
                parameter.add_(0.2 * torch.randn_like(parameter))
        network.train()
        for _ in range(3):
            network(torch.randn(16, shared["image_channels"], 8, 8, dtype=dtype))
    return network.eval()
