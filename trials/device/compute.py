"""Device, numeric policy and CPU threads of a worker."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
from torch import nn

from trials.config import DeviceConfig


@dataclass(frozen=True)
class Compute:
    """Device and precision of a worker, and whether its steps are captured as CUDA graphs."""

    device: torch.device
    precision: str
    graph: bool = False

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of parameters and images; bf16 is autocast on top of float32."""
        return torch.float64 if self.precision == "float64" else torch.float32

    def autocast(self) -> torch.autocast:
        """Return the autocast context for a forward pass; it does nothing unless the precision is bf16."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def place(self, network: nn.Module) -> nn.Module:
        """Move ``network`` to the device, in :attr:`dtype` and channels-last memory format."""
        return network.to(device=self.device, dtype=self.dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def peak_bytes(self) -> int | None:
        """Return the peak GPU memory since the last reset, in bytes; None on the CPU."""
        return torch.cuda.max_memory_allocated(self.device) if self.device.type == "cuda" else None

    @staticmethod
    def of(config: DeviceConfig, device: torch.device) -> Compute:
        """Return device and precision of ``config``; also set CPU threads and numeric policy of this process."""
        torch.set_num_threads(config.threads)
        on_gpu = device.type == "cuda"
        _set_numeric_policy(tf32=config.tf32, deterministic=config.deterministic, on_gpu=on_gpu)
        return Compute(device, config.precision, config.graph and on_gpu)


def _set_numeric_policy(*, tf32: bool, deterministic: bool, on_gpu: bool) -> None:
    """Allow or forbid TF32, and demand deterministic algorithms or not. A worker process runs many trials."""
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = False
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS is first used
    # Warns where torch has no such algorithm.
    torch.use_deterministic_algorithms(deterministic, warn_only=True)
    # Where torch only warns, the fused attention kernels of a GPU go on adding in any order.
    fused = not (deterministic and on_gpu)
    torch.backends.cuda.enable_flash_sdp(fused)  # this one concerns the CPU, too
    torch.backends.cuda.enable_mem_efficient_sdp(fused)
    torch.backends.cuda.enable_cudnn_sdp(fused)
