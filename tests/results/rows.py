"""Rows as a trial would write them, for tests."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import cast

from results.record_types import JsonObject, PointRow, ProgressRow

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def key_of(index: int) -> str:
    return f"{index:016x}"


def config_of(index: int, **changes: object) -> JsonObject:
    """A trial configuration with the fields that the tests need; ``changes`` such as ``space__splitting=2``."""
    config: JsonObject = {
        "seed": 0,
        "space": {"splitting": 1, "patch_size": 2},
        "search": {"epochs": 2},
        "train": {"epochs": 3, "momentum": 0.9},
        "feature_maps": {"regularization": 0.0, "taps": ["*"]},
    }
    for path, value in changes.items():
        section, _, name = path.partition("__")
        if name:
            config[section][name] = value
        else:
            config[section] = value
    return config


def point_rows(index: int, rungs: int = 2, **changes: object) -> list[PointRow]:
    """The points of trial ``index``; ``changes`` replace columns of all of them, even by wrong values."""
    return [cast(PointRow, {**_point(index, rung), **changes}) for rung in range(rungs)]


def _point(index: int, rung: int) -> PointRow:
    splitting = 2 ** (index % 3)
    config = config_of(index, space__splitting=splitting)
    return {
        "point": f"{key_of(index)}-{rung:02d}",
        "trial_key": key_of(index),
        "trial_index": index,
        "rung": rung,
        "seed": 0,
        "sweep": "test",
        "space": "darts",
        "cells": 5,
        "channels": 8,
        "nodes": 4,
        "output_node": "node_groups",
        "splitting": splitting,
        "width_growth": 1.0,
        "network_cells": 5,
        "network_channels": 8,
        "data": "digits",
        "algorithm": "darts",
        "search_epochs": 2,
        "train_epochs": 3,
        "regularization": 0.0,
        "measure": "l1",
        "threshold": 0.05 * rung,
        "threshold_mode": "absolute",
        "weight_bits": 32,
        "feature_map_bits": 32,
        "codec": "best",
        "accuracy": 0.9 - 0.05 * rung - 0.01 * (index % 7),
        "loss": 0.3,
        "macs": 1000 - 100 * (index % 5),
        "flops": 2000 - 200 * (index % 5),
        "effective_macs": 900.0 - 90 * rung,
        "params": 5000,
        "weight_bytes": 20000.0,
        "feature_map_bytes": 3000.0,
        "peak_bytes": 25000.0,
        "memory_bytes": 24000.0 - 1000 * rung,
        "sparsity": 0.4,
        "weight_sparsity": 0.0,
        "skip_share": 0.1,
        "genotype": "{}",
        "config": json.dumps(config, sort_keys=True, separators=(",", ":")),
        "taps": [
            {"tap": "stem", "elements": 10, "sparsity": 0.5, "mean_magnitude": 0.2, "bytes": 40.0},
            {"tap": "cell0.out", "elements": 20, "sparsity": 0.25, "mean_magnitude": 0.1, "bytes": 80.0},
        ],
        "versions": '{"shrinksweep":"0.1.0"}',
        "device": "cpu",
        "host": "node-1",
        "search_s": 1.0,
        "train_s": 2.0,
        "ladder_s": 0.5,
        "finished_at": NOON + timedelta(minutes=index, seconds=30),
    }


def epoch_rows(index: int, steps: int = 5, **changes: object) -> list[ProgressRow]:
    """The first epochs of trial ``index``: two of the search, then those of the training."""
    return [cast(ProgressRow, {**_epoch(index, step), **changes}) for step in range(1, steps + 1)]


def _epoch(index: int, step: int) -> ProgressRow:
    searching = step <= 2
    return {
        "trial_key": key_of(index),
        "trial_index": index,
        "seed": 0,
        "step": step,
        "phase": "search" if searching else "train",
        "epoch": step if searching else step - 2,
        "epochs": 2 if searching else 3,
        "loss": 1.0 / step,
        "accuracy": 0.1 * step,
        "validation_accuracy": 0.1 * step if searching else None,
        "learning_rate": 0.025,
        "epoch_s": 2.0,
        "images_per_s": 100.0,
        "host": "node-1",
        "at": NOON + timedelta(minutes=index, seconds=2 * step),
    }
