"""The points of a trial: a row per rung, with the measurements, the configuration and the versions."""

from __future__ import annotations

import json
import platform
import socket
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TypeAlias, cast

import torch

from results.record_types import PointRow
from search_space import Network
from shrinksweep import __version__
from trials.checkpointing.record import Record
from trials.config import Rung, TrialConfig
from trials.context import TrialContext
from trials.cost.cost import count_cost
from trials.data.batches import Batch, Batches
from trials.data.image_set import ImageReader, Images
from trials.data.sampling import balanced
from trials.data.seeds import RandomStream, generator
from trials.device.compute import Compute
from trials.ladder import ladder
from trials.ladder.latency import latency_columns
from trials.ladder.preparation import Preparation

Columns: TypeAlias = dict[str, object]
"""Some columns of a :class:`PointRow`."""

EVALUATION_BATCH = 256
"""Maximum batch size of an evaluation."""
CPU_BATCH_PIXELS = 2**16
"""Maximum pixels per batch of an evaluation on the CPU (64 images of 32x32). Memory of larger maps (beyond 32 MB) is
returned to the system and requested again for every map: with 256 such images, a pass took twice the memory and up to
twice the time."""
CALIBRATION_IMAGES = 512
"""Training images on which value ranges and memory of the feature maps are measured."""


def measure_points(
    config: TrialConfig, rungs: Sequence[Rung], network: Network, images: Images, compute: Compute
) -> list[Columns]:
    """Evaluate a trained network at ``rungs``.

    Returns:
        The measured columns of every rung: those of the ladder, the cost of the network, and the time.
    """
    start = time.perf_counter()
    cost = count_cost(network, images.shape)
    test = evaluation_batches(images, compute).epoch
    validation = all_of(images.validation, compute).epoch if images.validation else None
    calibration = calibration_batches(images, compute)
    rows = ladder.evaluate(network, rungs, cost, compute, calibration, test, validation)
    counted = {"macs": cost.macs, "flops": cost.flops, "params": cost.params}
    times = {"ladder_s": time.perf_counter() - start, "finished_at": datetime.now(UTC)}
    return [{**row, **counted, **times} for row in rows]


def measure_latency(config: TrialConfig, network: Network, images: Images, compute: Compute) -> list[Columns]:
    """Return the latency columns of every rung of the ladder; empty ones if the ladder does not ask for them.

    All rungs of a trial are timed together, on this host.
    """
    rungs = config.ladder.rungs()
    if not config.ladder.latency:
        return [{} for _ in rungs]
    preparation = Preparation(network, calibration_batches(images, compute), compute)
    return latency_columns(preparation, rungs, images.shape)


def calibration_batches(images: Images, compute: Compute) -> list[Batch]:
    """Return a seeded sample of the training images, as balanced as their labels allow, without augmentation."""
    labels, random = images.train.labels.cpu().numpy(), generator(0, RandomStream.CALIBRATION)
    sample = torch.from_numpy(balanced(labels, CALIBRATION_IMAGES, random))
    return list(_in_order(images.train, sample, compute).epoch())


def evaluation_batches(images: Images, compute: Compute) -> Batches:
    """Return all test images, in order, in batches of :func:`batch_size`."""
    return all_of(images.test, compute)


def all_of(images: ImageReader, compute: Compute) -> Batches:
    """Return all images, in order and without augmentation, in batches of :func:`batch_size`."""
    return _in_order(images, torch.arange(len(images)), compute)


def batch_size(shape: tuple[int, ...], device: torch.device) -> int:
    """Return the batch size for evaluating images [C, H, W]: a power of two, so that all calibration batches are full.

    >>> [batch_size((3, side, side), torch.device("cpu")) for side in (14, 28, 32, 64, 224)]
    [256, 64, 64, 16, 8]
    """
    if device.type != "cpu":
        return EVALUATION_BATCH
    limit = max(1, CPU_BATCH_PIXELS // (shape[1] * shape[2]))
    return max(8, min(EVALUATION_BATCH, 1 << (limit.bit_length() - 1)))


def _in_order(images: ImageReader, indices: torch.Tensor, compute: Compute) -> Batches:
    """Return batches of the images ``indices`` [n], in this order and without augmentation."""
    return Batches(
        images,
        indices,
        batch_size(images.shape, compute.device),
        seed=0,
        drop_last=False,
        shuffle=False,
        dtype=compute.dtype,
    )


def trial_columns(config: TrialConfig, context: TrialContext, record: Record, network: Network) -> Columns:
    """Return the columns that are the same for all points of a trial."""
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
        "data_fingerprint": record.fingerprint,
        "algorithm": config.search.algorithm,
        "search_epochs": config.search_epochs,
        "train_epochs": config.train.epochs,
        "finetune_epochs": config.epochs - config.search_epochs - config.train.epochs,
        "regularization": config.feature_maps.regularization,
        "measure": config.feature_maps.measure,
        "search_peak_bytes": record.search_peak_bytes(),
        "skip_share": network.genotype.skip_share(),
        "genotype": network.genotype.to_json(),
        "config": config.canonical(),
        "versions": json.dumps(versions(), sort_keys=True),
        "device": device_name(),
        "numerics": config.device.numerics(),
        "host": socket.gethostname(),
        "search_s": record.seconds("search"),
        "train_s": record.seconds("train") + record.seconds("finetune"),
    }


def point_rows(config: TrialConfig, rows: Mapping[Rung, Columns]) -> list[PointRow]:
    """Return the points of a trial in the order of its ladder: ``rows``, with name, index and configuration."""
    key = config.trial_key()
    points = [
        {**rows[rung], "point": f"{key}-{index:02d}", "rung": index, "config": config.canonical()}
        for index, rung in enumerate(config.ladder.rungs())
    ]
    return cast(list[PointRow], points)


def versions() -> dict[str, str]:
    """Return the versions of the software that results depend on."""
    # Not asked of the installed distribution: a checkout on the path is enough to run a trial.
    return {"python": platform.python_version(), "shrinksweep": __version__, "torch": version("torch")}


def device_name() -> str:
    """Return the name of this host's GPU, or of its processor."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or "cpu"
