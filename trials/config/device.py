"""The ``device:`` block: how a worker computes."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt

from trials.config.base import Config


class DeviceConfig(Config):
    """How a worker computes: precision, CPU threads, batch normalization across workers."""

    precision: Literal["float32", "bf16", "float64"] = "float32"
    """Number format of the forward and backward pass. ``bf16`` is autocast: the weights stay float32."""
    threads: PositiveInt = 1
    """CPU threads per worker. The default matches ``resources.cpus_per_worker``."""
    sync_batch_norm: bool = True
    """Compute batch-normalization statistics over all workers of a trial: n workers then give the result of one."""
