"""The points of a trial: what was measured on its trained network at every rung, with all that led to it."""

from __future__ import annotations

import json
import platform
import socket
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import torch

from search_space import Network
from trials.checkpointing.record import Record, TrialContext
from trials.config import Rung, TrialConfig
from trials.cost.cost import count_cost
from trials.data.batches import Batch
from trials.data.loading import Batches, ImageReader, Images
from trials.device.compute import Compute
from trials.ladder import ladder

EVALUATION_BATCH = 256
"""Images of a batch at most, where nothing is trained."""
PIXELS_ON_CPU = 2**16
"""Pixels of such a batch at most on the CPU (64 images of 32x32). Maps beyond 32 MB are memory that the system hands
out and takes back each time: with 256 such images, a pass took twice the memory, and up to twice the time."""
CALIBRATION_IMAGES = 512


def measure_points(
    config: TrialConfig, rungs: Sequence[Rung], network: Network, images: Images, compute: Compute
) -> list[dict[str, Any]]:
    """Return what is measured at ``rungs``, a row each: the ladder's columns and the network's cost."""
    start = time.perf_counter()
    cost = count_cost(network, images.shape)
    test = evaluation_batches(images, compute).epoch
    latency_for = images.shape if config.ladder.latency else None
    rows = ladder.evaluate(
        network, rungs, cost, compute, calibration_batches(images, compute), test, latency_for
    )
    counted = {"macs": cost.macs, "flops": cost.flops, "params": cost.params}
    taken = {"ladder_s": time.perf_counter() - start, "finished_at": datetime.now(UTC)}
    return [row | counted | taken for row in rows]


def calibration_batches(images: Images, compute: Compute) -> list[Batch]:
    """Return the training images, without augmentation, that ranges and scales are taken from."""
    known = min(CALIBRATION_IMAGES, len(images.train))
    return list(_in_order(images.train, known, compute).epoch())


def evaluation_batches(images: Images, compute: Compute) -> Batches:
    """Return the test images in their order, :func:`batch_size` at a time."""
    return _in_order(images.test, len(images.test), compute)


def batch_size(shape: tuple[int, ...], device: torch.device) -> int:
    """Return how many images [C, H, W] are evaluated at a time: a power of two, so that calibration batches are alike.

    >>> [batch_size((3, side, side), torch.device("cpu")) for side in (14, 28, 32, 64, 224)]
    [256, 64, 64, 16, 8]
    """
    if device.type != "cpu":
        return EVALUATION_BATCH
    fit = max(1, PIXELS_ON_CPU // (shape[1] * shape[2]))
    return max(8, min(EVALUATION_BATCH, 1 << (fit.bit_length() - 1)))


def _in_order(images: ImageReader, count: int, compute: Compute) -> Batches:
    """Return batches of the first ``count`` images, in their order and without augmentation."""
    return Batches(
        images,
        torch.arange(count),
        batch_size(images.shape, compute.device),
        seed=0,
        drop_last=False,
        shuffle=False,
        dtype=compute.dtype,
    )


def trial_columns(
    config: TrialConfig, context: TrialContext, record: Record, network: Network
) -> dict[str, Any]:
    """Return the columns that all points of a trial have in common."""
    space, sizes = config.space, config.network_sizes()
    return {
        "trial_key": config.trial_key(),
        "trial_index": context.index,
        "seed": config.seed,
        "sweep": context.sweep,
        "space": space.name,
        "cells": space.cells,
        "channels": space.channels,
        "nodes": space.nodes,
        "output_node": space.output_node,
        "splitting": space.splitting,
        "width_growth": space.width_growth,
        "network_cells": sizes["cells"],
        "network_channels": sizes["channels"],
        "data": config.data.name,
        "algorithm": config.search.algorithm,
        "search_epochs": config.search.epochs,
        "train_epochs": config.train.epochs,
        "regularization": config.feature_maps.regularization,
        "measure": config.feature_maps.measure,
        "search_peak_bytes": record.search_peak_bytes(),
        "skip_share": network.genotype.skip_share(),
        "genotype": network.genotype.to_json(),
        "config": config.canonical(),
        "versions": json.dumps(versions(), sort_keys=True),
        "device": device_name(),
        "host": socket.gethostname(),
        "search_s": record.seconds("search"),
        "train_s": record.seconds("train"),
    }


def numbered(config: TrialConfig, rows: dict[Rung, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of all rungs of ``config`` in their order, each with its place and its name."""
    key = config.trial_key()
    return [
        rows[rung] | {"point": f"{key}-{place:02d}", "rung": place, "config": config.canonical()}
        for place, rung in enumerate(config.ladder.rungs())
    ]


def versions() -> dict[str, str]:
    """Return the versions that decide a result."""
    return {"python": platform.python_version()} | {name: version(name) for name in ("shrinksweep", "torch")}


def device_name() -> str:
    """Return the name of the device that trials on this host run on."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or "cpu"
