"""The ``device:`` block: how a worker computes."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt

from trials.config.base import Config


class DeviceConfig(Config):
    """How a worker computes."""

    precision: Literal["float32", "bf16", "float64"] = "float32"
    """Arithmetic of the forward and backward pass; bf16 is autocast."""
    threads: PositiveInt = 1
    """CPU threads a worker."""
    sync_batch_norm: bool = True
    """Batch statistics over all workers of a gang, so that n workers compute what one would."""
