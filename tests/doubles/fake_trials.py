"""Trials that compute nothing and leave every record that real ones leave: what orchestration itself costs.

Each function has the signature of ``trials.trial.run_trial``; its numbers are a plain function of the
configuration. They continue from their progress rows as real trials do from their checkpoints.
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
from typing import Any

from trials.checkpointing.record import TrialContext
from trials.config import Rung, TrialConfig

Hook = Callable[[int], None]
"""Called with the step about to be computed."""


def noop_trial(config: TrialConfig, context: TrialContext) -> None:
    """Leave one row of progress and the points, at once. Chance decides on accuracy, so that fronts are short."""
    chance = int(config.trial_key()[:8], 16) / 16**8
    _leave(config, context, epochs=1, hook=lambda step: None, accuracy=0.5 + chance / 2)


def quick_trial(config: TrialConfig, context: TrialContext) -> None:
    """Leave a row for each epoch, a few milliseconds apart."""
    _leave(config, context, _epochs(config), lambda step: time.sleep(0.005))


def slow_trial(config: TrialConfig, context: TrialContext) -> None:
    """Take a tenth of a second an epoch."""
    _leave(config, context, _epochs(config), lambda step: time.sleep(0.1))


def counted_trial(config: TrialConfig, context: TrialContext) -> None:
    """Take a tenth of a second an epoch, and leave a file for every epoch that is begun."""

    def hook(step: int) -> None:
        context.directory.storage.write(f"begun/{config.trial_key()}-{step:03d}-{uuid.uuid4().hex}", b"")
        time.sleep(0.1)

    _leave(config, context, _epochs(config), hook)


def second_trial(config: TrialConfig, context: TrialContext) -> None:
    """Take one second."""
    _leave(config, context, 1, lambda step: time.sleep(1.0))


def failing_trial(config: TrialConfig, context: TrialContext) -> None:
    """Fail for good at the second epoch where s is 2, as a loss that is NaN would."""

    def hook(step: int) -> None:
        if config.space.splitting == 2 and step == 2:
            raise ArithmeticError("the loss must be finite, but got nan\nat epoch 2")

    _leave(config, context, _epochs(config), hook)


def dying_trial(config: TrialConfig, context: TrialContext) -> None:
    """Kill its own process once, at the third epoch where s is 2."""

    def hook(step: int) -> None:
        first = not context.directory.storage.exists(f"died/{config.trial_key()}")
        if config.space.splitting == 2 and step == 3 and first:
            context.directory.storage.write(f"died/{config.trial_key()}", b"")
            os.kill(os.getpid(), signal.SIGKILL)

    _leave(config, context, _epochs(config), hook)


def infinite_trial(config: TrialConfig, context: TrialContext) -> None:
    """Leave points whose accuracy is not a number where s is 2."""
    accuracy = math.nan if config.space.splitting == 2 else None
    _leave(config, context, 1, lambda step: None, accuracy)


def gang_trial(config: TrialConfig, context: TrialContext) -> None:
    """Add up the ranks with gloo at every epoch; s = 2 kills rank 1 once, at its second epoch."""
    import torch
    import torch.distributed as dist

    dist.init_process_group(
        "gloo", init_method=context.address, rank=context.rank, world_size=context.world_size
    )

    def hook(step: int) -> None:
        marker = f"died/{config.trial_key()}"
        doomed = config.space.splitting == 2 and step == 2 and context.rank == 1
        if doomed and not context.directory.storage.exists(marker):
            context.directory.storage.write(marker, b"")
            os.kill(os.getpid(), signal.SIGKILL)
        total = torch.tensor([float(context.rank + 1)])
        dist.all_reduce(total)
        if total.item() != context.world_size * (context.world_size + 1) / 2:
            raise ArithmeticError(f"the ranks must add up, but got {total.item()}")

    try:
        _leave(config, context, _epochs(config), hook)
    finally:
        dist.destroy_process_group()


def evaluate_ladder(config: TrialConfig, context: TrialContext) -> None:
    """Bring a finished trial's points to the ladder of ``config``."""
    rungs = enumerate(config.ladder.rungs())
    points = [point_row(config, context, place, rung, None) for place, rung in rungs]
    context.directory.write_points(config.trial_key(), points)


def _epochs(config: TrialConfig) -> int:
    return config.search.epochs + config.train.epochs


def _leave(
    config: TrialConfig, context: TrialContext, epochs: int, hook: Hook, accuracy: float | None = None
) -> None:
    key = config.trial_key()
    if context.directory.has_points(key):
        return
    rows = context.directory.read_progress(key).to_pylist() if epochs > 1 else []
    for step in range(len(rows) + 1, epochs + 1):
        hook(step)
        if context.rank == 0:
            rows.append(progress_row(config, context, step, epochs))
            context.directory.write_progress(key, rows)
            shown = ("phase", "epoch", "epochs", "step", "loss", "accuracy", "validation_accuracy")
            context.report({name: rows[-1][name] for name in (*shown, "expected_macs", "effective_macs")})
    if context.rank == 0:
        rungs = enumerate(config.ladder.rungs())
        points = [point_row(config, context, place, rung, accuracy) for place, rung in rungs]
        context.directory.write_points(key, points)


def quality(config: TrialConfig, step: int) -> tuple[float, float]:
    """Return (accuracy, macs): more macs and less regularization are more accurate, and time helps."""
    macs = 1e6 * config.space.splitting * config.space.channels
    weight = config.feature_maps.regularization
    best = 0.99 - 0.1 / config.space.splitting - min(0.3, 30.0 * weight)
    return best * (1 - math.exp(-step / 3)), macs * (1 - min(0.5, 50.0 * weight))


def progress_row(config: TrialConfig, context: TrialContext, step: int, epochs: int) -> dict[str, Any]:
    """Return the row of one epoch."""
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
    config: TrialConfig, context: TrialContext, place: int, rung: Rung, accuracy: float | None
) -> dict[str, Any]:
    """Return the row of one rung."""
    best, macs = quality(config, _epochs(config))
    key, space = config.trial_key(), config.space
    sizes = config.network_sizes()
    return {
        "point": f"{key}-{place:02d}",
        "trial_key": key,
        "trial_index": context.index,
        "rung": place,
        "seed": config.seed,
        "sweep": context.sweep,
        "space": space.name,
        **{
            name: getattr(space, name)
            for name in ("cells", "channels", "nodes", "output_node", "splitting", "width_growth")
        },
        "network_cells": sizes["cells"],
        "network_channels": sizes["channels"],
        "data": config.data.name,
        "algorithm": config.search.algorithm,
        "search_epochs": config.search.epochs,
        "train_epochs": config.train.epochs,
        "regularization": config.feature_maps.regularization,
        "measure": config.feature_maps.measure,
        **rung.model_dump(),
        "accuracy": best * (1 - rung.threshold / 4) if accuracy is None else accuracy,
        "loss": 0.1,
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
