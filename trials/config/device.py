"""The ``device:`` block: how a worker computes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import model_validator

from trials.config.base import Config, Count
from trials.config.younger_fields import Added


class DeviceConfig(Config):
    """How a worker computes: precision, CPU threads, batch normalization across workers, GPU settings."""

    precision: Literal["float32", "bf16", "float64"] = "float32"
    """Number format of the forward and backward pass. ``bf16`` is autocast: the weights stay float32."""
    threads: Count = 1
    """CPU threads per worker. The default matches ``resources.cpus_per_worker``."""
    sync_batch_norm: bool = True
    """Compute batch-normalization statistics over all workers of a trial: n workers then give the result of one."""
    tf32: Annotated[bool, Added(before=False)] = False
    """Let the GPU round the operands of float32 convolutions and matrix products to TF32 (10 bits of mantissa). The
    moments of batch normalization never are. No effect on the CPU."""
    deterministic: Annotated[bool, Added(before=False)] = False
    """Use torch's deterministic algorithms, so that two runs on one kind of GPU are equal bit for bit. Slower. On the
    CPU, results are reproducible without it."""
    graph: Annotated[bool, Added(before=True)] = True
    """Record the step of a search or a training as a CUDA graph and replay it. The results are those of eager steps.
    No effect on the CPU."""

    def numerics(self) -> str:
        """Return number format and GPU settings in one word.

        >>> DeviceConfig(tf32=True, deterministic=True).numerics()
        'float32+tf32+deterministic'
        """
        settings = [name for name in ("tf32", "deterministic") if getattr(self, name)]
        return "+".join([self.precision, *settings])

    @model_validator(mode="after")
    def _check_tf32(self) -> DeviceConfig:
        if self.tf32 and self.precision != "float32":
            raise ValueError(f"`tf32` needs precision float32, but got {self.precision}")
        return self
