"""Trials that take a second: configurations, contexts and networks for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from results import RunDirectory
from search_space import Genotype, Network
from trials import TrialConfig, TrialContext
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


def tiny_config(name: str = "darts", **blocks: dict[str, Any]) -> TrialConfig:
    """Return a configuration on 128 digits, two epochs each; ``blocks`` change fields of its blocks."""
    content: dict[str, Any] = {
        "seed": 3,
        "space": {"name": name, "cells": 3, "channels": 4, "nodes": 2},
        "data": {"name": "digits", "batch_size": 32, "train_images": 128, "test_images": 64},
        "search": {"epochs": 2, "alpha_learning_rate": 0.05},
        "train": {"epochs": 2},
        "ladder": LADDER,
    }
    for field, block in blocks.items():
        content[field] = content.get(field, {}) | block
    return TrialConfig.model_validate(content)


def images_of(config: TrialConfig) -> Images:
    return load_images(config.data, config.seed, CPU)


def compute_of(config: TrialConfig) -> Compute:
    return Compute.of(config.device, CPU)


def context_in(
    folder: Path, report: Callable[[dict[str, Any]], None] = lambda row: None, **fields: Any
) -> TrialContext:
    return TrialContext(RunDirectory(folder, create=True), index=7, sweep="tiny", report=report, **fields)


def network_of(kind: str = "convolutions", dtype: torch.dtype = torch.float32, **sizes: Any) -> Network:
    """Return a small network in evaluation mode whose running statistics and norms are not those of a new one."""
    space, genotype = ("attention", ATTENTION) if kind == "attention" else ("darts", CONVOLUTIONS)
    shared = {"channels": 4, "cells": 3, "classes": 10, "image_channels": 1} | sizes
    network = Network(genotype, space=space, **shared).to(dtype)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.dim() == 1 or "position" in name:
                parameter.add_(0.2 * torch.randn_like(parameter))
        network.train()
        for _ in range(3):
            network(torch.randn(16, shared["image_channels"], 8, 8, dtype=dtype))
    return network.eval()
