"""Optimizers whose settings are those of the configuration, whatever a checkpoint holds."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from trials.train.optimizers import adam, load_state, rate_of, set_rate, sgd

CPU = torch.device("cpu")


def parameters() -> list[nn.Parameter]:
    return [nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(2, 2))]


def stepped(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    for parameter in optimizer.param_groups[0]["params"]:
        parameter.grad = torch.full_like(parameter, 0.5)
    optimizer.step()
    return optimizer


def test_a_checkpoint_brings_moments_but_no_settings() -> None:
    stored = stepped(sgd(parameters(), CPU, 0.1, momentum=0.9, weight_decay=0.0)).state_dict()
    stored["param_groups"][0]["lr"] = torch.tensor(0.1)  # as a checkpoint of a GPU holds it
    loaded = sgd(parameters(), CPU, 0.3, momentum=0.9, weight_decay=1e-4)
    load_state(loaded, stored)
    assert loaded.param_groups[0]["lr"] == 0.3
    assert loaded.param_groups[0]["weight_decay"] == 1e-4
    first = loaded.param_groups[0]["params"][0]
    torch.testing.assert_close(loaded.state[first]["momentum_buffer"], torch.full((3,), 0.5))


def test_adam_goes_on_with_its_step_count() -> None:
    stored = stepped(stepped(adam(parameters(), CPU, 3e-4, weight_decay=1e-3)))
    loaded = adam(parameters(), CPU, 3e-4, weight_decay=1e-3)
    load_state(loaded, stored.state_dict())
    assert float(loaded.state[loaded.param_groups[0]["params"][0]]["step"]) == 2


def test_a_rate_on_the_device_keeps_its_address() -> None:
    optimizer = sgd(parameters(), CPU, 0.1, momentum=0.9, weight_decay=0.0)
    rate = torch.tensor(0.1)
    optimizer.param_groups[0]["lr"] = rate  # as on a GPU
    set_rate(optimizer, 0.05)
    assert rate_of(optimizer) is rate
    assert float(rate) == pytest.approx(0.05)
