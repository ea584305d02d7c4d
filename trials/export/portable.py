"""A trained network as it is deployed at one rung, as a program that runs without this project.

Weights are quantized. The pruning and quantization of maps, which the ladder applies through listeners, become part of
the network.
"""

from __future__ import annotations

import warnings
from copy import deepcopy

import torch
from torch import Tensor, nn

from search_space.feature_map import Listener, taps
from trials.config import Rung
from trials.ladder.preparation import Preparation
from trials.ladder.tap_filter import TapFilter


def portable(preparation: Preparation, rung: Rung, *, explicit_attention: bool = False) -> nn.Module:
    """Return a network that computes as at ``rung``, on the CPU and in evaluation mode.

    Args:
        preparation: the trained network, and what its calibration images decide.
        rung: threshold and precisions.
        explicit_attention: do not use the fused attention of torch, which ONNX lacks. Without pruning and quantization
            of the probabilities, only the fused one equals the measured network bit for bit.
    """
    deployed = deepcopy(preparation.deployed(rung).network).cpu()
    filters = preparation.filters(rung)
    for name, tap in taps(deployed).items():
        filter_ = filters[name]
        tap.listener = _cloning(filter_) if explicit_attention and tap.normalized else filter_
    return deployed


def _cloning(filter_: TapFilter) -> Listener:
    """Return a listener that always returns a new tensor: then attention computes its product explicitly."""

    def listen(x: Tensor) -> Tensor:
        return filter_(x).clone()

    return listen


@torch.no_grad()
def as_program(network: nn.Module, images: Tensor) -> torch.export.ExportedProgram:
    """Return ``network`` as a program for any batch size, traced on ``images`` [B, C, H, W] with B of at least 2."""
    network(images)  # fills caches, such as the index of relative positions, before tracing
    batch = torch.export.Dim("batch", min=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns about its own internals
        return torch.export.export(network, (images,), dynamic_shapes={"images": {0: batch}})
