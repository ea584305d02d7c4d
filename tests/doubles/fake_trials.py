"""Trials that compute nothing, but write every record of a real one.

Each function has the signature of ``trials.trial.run_trial``. Its numbers depend on the configuration only. It resumes
from its progress rows, as a real trial does from its checkpoint.
"""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from results.record_types import PointRow, ProgressRow
from trials.config import Rung, TrialConfig
from trials.context import TrialContext

Hook = Callable[[int], None]
"""Called before every epoch, with its step (from 1)."""

REPORTED = ("phase", "epoch", "epochs", "step", "loss", "accuracy", "validation_accuracy", "expected_macs",
            "effective_macs")  # fmt: skip
"""Columns of a progress row that are reported."""


def noop_trial(config: TrialConfig, context: TrialContext) -> None:
    """Write one progress row and the points at once. The accuracy is random, so that fronts are short."""
    random = int(config.trial_key()[:8], 16) / 16**8
    write_records(config, context, epochs=1, hook=lambda step: None, accuracy=0.5 + random / 2)


def quick_trial(config: TrialConfig, context: TrialContext) -> None:
    """Take five milliseconds an epoch."""
    write_records(config, context, _epochs(config), lambda step: time.sleep(0.005))


def slow_trial(config: TrialConfig, context: TrialContext) -> None:
    """Take a tenth of a second an epoch."""
    write_records(config, context, _epochs(config), lambda step: time.sleep(0.1))


def counted_trial(config: TrialConfig, context: TrialContext) -> None:
    """Take a tenth of a second an epoch, and write a file when an epoch begins."""

    def hook(step: int) -> None:
        mark(context, "begun", f"{config.trial_key()}-{step:03d}-{uuid.uuid4().hex}")
        time.sleep(0.1)

    write_records(config, context, _epochs(config), hook)


def second_trial(config: TrialConfig, context: TrialContext) -> None:
    """Take one second."""
    write_records(config, context, 1, lambda step: time.sleep(1.0))


def failing_trial(config: TrialConfig, context: TrialContext) -> None:
    """Fail at the second epoch if s = 2, in every attempt, as with a loss that is NaN."""

    def hook(step: int) -> None:
        if config.space.splitting == 2 and step == 2:
            raise ArithmeticError("the loss must be finite, but got nan\nat epoch 2")

    write_records(config, context, _epochs(config), hook)


def dying_trial(config: TrialConfig, context: TrialContext) -> None:
    """Kill its own process at the third epoch if s = 2, in the first attempt only."""
    _signalled_trial(config, context, signal.SIGKILL, "died")


def sleeping_trial(config: TrialConfig, context: TrialContext) -> None:
    """Stop its own process (SIGSTOP) at the third epoch if s = 2, in the first attempt only."""
    _signalled_trial(config, context, signal.SIGSTOP, "slept")


def _signalled_trial(config: TrialConfig, context: TrialContext, number: int, folder: str) -> None:
    """Send a signal to its own process; ``folder`` marks the trials that have done so."""

    def hook(step: int) -> None:
        first_attempt = not context.directory.storage.exists(f"{folder}/{config.trial_key()}")
        if config.space.splitting == 2 and step == 3 and first_attempt:
            mark(context, folder, config.trial_key())
            os.kill(os.getpid(), number)

    write_records(config, context, _epochs(config), hook)


def infinite_trial(config: TrialConfig, context: TrialContext) -> None:
    """Write points with accuracy NaN if s = 2."""
    accuracy = math.nan if config.space.splitting == 2 else None
    write_records(config, context, 1, lambda step: None, accuracy)


def gang_trial(config: TrialConfig, context: TrialContext) -> None:
    """Sum the ranks with gloo at every epoch. If s = 2, rank 1 is killed at the second epoch of the first attempt."""
    import torch
    import torch.distributed as dist

    dist.init_process_group(
        "gloo", init_method=context.address, rank=context.rank, world_size=context.world_size
    )

    def hook(step: int) -> None:
        marker = f"died/{config.trial_key()}"
        doomed = config.space.splitting == 2 and step == 2 and context.rank == 1
        if doomed and not context.directory.storage.exists(marker):
            mark(context, "died", config.trial_key())
            os.kill(os.getpid(), signal.SIGKILL)
        total = torch.tensor([float(context.rank + 1)])
        dist.all_reduce(total)
        if total.item() != context.world_size * (context.world_size + 1) / 2:
            raise ArithmeticError(f"the ranks must add up, but got {total.item()}")

    try:
        write_records(config, context, _epochs(config), hook)
    finally:
        dist.destroy_process_group()


def evaluate_ladder(config: TrialConfig, context: TrialContext) -> None:
    """Replace the points of a finished trial by those of the ladder of ``config``."""
    context.directory.write_points(config.trial_key(), _points(config, context, None))


def mark(context: TrialContext, folder: str, name: str) -> None:
    """Leave an empty file in a folder of the run directory."""
    context.directory.storage.make_folder(folder)
    context.directory.storage.write(f"{folder}/{name}", b"")


def _epochs(config: TrialConfig) -> int:
    return config.search.epochs + config.train.epochs


def write_records(
    config: TrialConfig, context: TrialContext, epochs: int, hook: Hook, accuracy: float | None = None
) -> None:
    """Write a progress row for every epoch, calling ``hook`` before it, and then the points."""
    key = config.trial_key()
    if context.directory.has_points(key):
        return
    rows: list[ProgressRow] = context.directory.read_progress(key).to_pylist() if epochs > 1 else []
    for step in range(len(rows) + 1, epochs + 1):
        hook(step)
        if context.rank == 0:
            rows.append(progress_row(config, context, step, epochs))
            context.directory.write_progress(key, rows)
            context.report({name: value for name, value in rows[-1].items() if name in REPORTED})
    if context.rank == 0:
        context.directory.write_points(key, _points(config, context, accuracy))


def _points(config: TrialConfig, context: TrialContext, accuracy: float | None) -> list[PointRow]:
    return [
        point_row(config, context, index, rung, accuracy) for index, rung in enumerate(config.ladder.rungs())
    ]


def quality(config: TrialConfig, step: int) -> tuple[float, float]:
    """Return (accuracy, macs). Accuracy grows with the macs and the steps, and falls with the regularization."""
    macs = 1e6 * config.space.splitting * config.space.channels
    weight = config.feature_maps.regularization
    best = 0.99 - 0.1 / config.space.splitting - min(0.3, 30.0 * weight)
    return best * (1 - math.exp(-step / 3)), macs * (1 - min(0.5, 50.0 * weight))


def progress_row(config: TrialConfig, context: TrialContext, step: int, epochs: int) -> ProgressRow:
    """Return the progress row of one epoch."""
    accuracy, macs = quality(config, step)
    search = min(config.search.epochs, epochs)
    return {
        "trial_key": config.trial_key(),
        "trial_index": context.index,
        "seed": config.seed,
        "step": step,
        "phase": "search" if step <= search else "train",
        "epoch": step if step <= search else step - search,
        "epochs": search if step <= search else epochs - search,
        "loss": -math.log(max(accuracy, 1e-6)),
        "accuracy": accuracy,
        "validation_accuracy": accuracy,
        "learning_rate": 0.025,
        "expected_macs": macs,
        "effective_macs": macs,
        "epoch_s": 0.001,
        "images_per_s": 1.0,
        "host": socket.gethostname(),
        "at": datetime.now(UTC),
    }


def point_row(
    config: TrialConfig, context: TrialContext, index: int, rung: Rung, accuracy: float | None
) -> PointRow:
    """Return the point of one rung of the ladder."""
    best, macs = quality(config, _epochs(config))
    key, space = config.trial_key(), config.space
    sizes = config.network_sizes()
    return {
        "point": f"{key}-{index:02d}",
        "trial_key": key,
        "trial_index": context.index,
        "rung": index,
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
        "data_fingerprint": "0123456789abcdef",
        "algorithm": config.search.algorithm,
        "search_epochs": config.search.epochs,
        "train_epochs": config.train.epochs,
        "regularization": config.feature_maps.regularization,
        "measure": config.feature_maps.measure,
        "threshold": rung.threshold,
        "threshold_mode": rung.threshold_mode,
        "weight_bits": rung.weight_bits,
        "feature_map_bits": rung.feature_map_bits,
        "calibration": rung.calibration,
        "correction": rung.correction,
        "outer_bits": rung.outer_bits,
        "codec": rung.codec,
        "accuracy": best * (1 - rung.threshold / 4) if accuracy is None else accuracy,
        "loss": 0.1,
        "validation_images": 100,
        "test_accuracy": best * (1 - rung.threshold / 4) - 0.01 if accuracy is None else accuracy,
        "test_loss": 0.1,
        "test_images": 8,
        "correct": bytes([0b10101100]),
        "macs": round(macs),
        "flops": 2 * round(macs),
        "effective_macs": macs * (1 - rung.threshold),
        "params": 1000,
        "weight_bytes": 125.0 * rung.weight_bits,
        "feature_map_bytes": 100.0 * rung.feature_map_bits,
        "peak_bytes": 5000.0,
        "memory_bytes": (1.0 - rung.threshold) * macs / 100,
        "sparsity": min(1.0, rung.threshold),
        "weight_sparsity": 0.0,
        "skip_share": 0.0,
        "genotype": "{}",
        "config": config.canonical(),
        "taps": [],
        "versions": json.dumps({}),
        "device": "cpu",
        "host": socket.gethostname(),
        "search_s": 0.001,
        "train_s": 0.001,
        "ladder_s": 0.001,
        "finished_at": datetime.now(UTC),
    }
