"""The optimizers of search and training, and their learning-rate schedule.

On a GPU, learning rates are tensors on the device and the update is one fused kernel, so that a step can be recorded.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from trials.checkpointing.checkpoint import State


def sgd(
    parameters: Iterable[nn.Parameter],
    device: torch.device,
    rate: float,
    *,
    momentum: float,
    weight_decay: float,
) -> SGD:
    """Return SGD with momentum."""
    if device.type == "cpu":
        return SGD(parameters, rate, momentum=momentum, weight_decay=weight_decay)
    on_device = torch.tensor(rate, device=device)
    return SGD(parameters, on_device, momentum=momentum, weight_decay=weight_decay, fused=True)


def adam(
    parameters: Iterable[nn.Parameter], device: torch.device, rate: float, *, weight_decay: float
) -> Adam:
    """Return Adam with the betas of DARTS, 0.5 and 0.999."""
    betas = (0.5, 0.999)
    if device.type == "cpu":
        return Adam(parameters, rate, betas, weight_decay=weight_decay)
    return Adam(parameters, rate, betas, weight_decay=weight_decay, fused=True, capturable=True)


def load_state(optimizer: Optimizer, state: State) -> None:
    """Load moments and step counts; learning rates and settings stay those of the configuration and the device."""
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state["state"], "param_groups": groups})


def rate_of(optimizer: Optimizer) -> float | Tensor:
    """Return the current learning rate: a number on the CPU, a scalar on a GPU."""
    return cast(float | Tensor, optimizer.param_groups[0]["lr"])


def set_rate(optimizer: Optimizer, rate: float) -> None:
    """Set the learning rate of all parameter groups; a rate on the device keeps its address."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def cosine(peak: float, floor: float, epoch: int, epochs: int) -> float:
    """Return the learning rate of ``epoch`` (from 0): cosine annealing from ``peak`` to ``floor``, without restarts."""
    return floor + (peak - floor) * (1 + math.cos(math.pi * epoch / epochs)) / 2
