"""How a worker computes: device, number format, threads."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from trials.config import DeviceConfig


@dataclass(frozen=True)
class Compute:
    """Device and number format of one worker."""

    device: torch.device
    precision: str

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of parameters and images; bf16 is autocast on top of float32."""
        return torch.float64 if self.precision == "float64" else torch.float32

    def autocast(self) -> torch.autocast:
        """Return the context that every forward pass runs in."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def place(self, network: nn.Module) -> nn.Module:
        """Move ``network`` to this device and number format, in channels-last layout."""
        return network.to(device=self.device, dtype=self.dtype, memory_format=torch.channels_last)  # type: ignore

    def peak_bytes(self) -> int | None:
        """Return the accelerator's peak since the last reset; None on the CPU."""
        return torch.cuda.max_memory_allocated(self.device) if self.device.type == "cuda" else None

    @staticmethod
    def of(config: DeviceConfig, device: torch.device) -> Compute:
        """Set this process's threads and return how it computes."""
        torch.set_num_threads(config.threads)
        return Compute(device, config.precision)
