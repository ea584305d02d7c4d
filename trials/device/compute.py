"""Device, precision and CPU threads of a worker."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from trials.config import DeviceConfig


@dataclass(frozen=True)
class Compute:
    """Device and precision of a worker."""

    device: torch.device
    precision: str

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
        """Return the device and precision of ``config``; also set the number of CPU threads of this process."""
        torch.set_num_threads(config.threads)
        return Compute(device, config.precision)
