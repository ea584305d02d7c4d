"""A trained network as it is deployed at one rung: weights quantized, thresholds and precisions at its taps.

What the ladder measures with listeners is here part of the network itself, so that a program made of it needs
nothing of this project.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from search_space.feature_map import Listener, taps
from trials.config import Rung
from trials.feature_maps.deployed import deploy
from trials.ladder.tap_filter import Range, TapFilter


def portable(
    network: nn.Module, rung: Rung, ranges: Mapping[str, Range], *, explicit_attention: bool = False
) -> nn.Module:
    """Return ``network`` as it computes at ``rung``, on the CPU and in evaluation mode; it stays as it is.

    ``ranges`` are those of ``ladder.calibrate``. The fused attention of torch, bit for bit what the ladder measured
    where nothing is pruned or quantized, is not known everywhere: ``explicit_attention`` goes without it.
    """
    twin = deploy(network, rung.weight_bits).network.cpu()
    for name, tap in taps(twin).items():
        one = TapFilter.of(rung, ranges[name])
        tap.listener = _copying(one) if explicit_attention and tap.normalized else one
    return twin


def _copying(one: TapFilter) -> Listener:
    """Return a filter that never hands the very same map back: then the product is computed from it."""

    def listen(x: Tensor) -> Tensor:
        return one(x).clone()

    return listen


@torch.no_grad()
def as_program(network: nn.Module, images: Tensor) -> torch.export.ExportedProgram:
    """Return ``network`` as a program for batches of any size, traced on ``images`` [2 or more, C, H, W]."""
    network(images)  # what is computed once and kept, such as tables of positions, is now there
    batch = torch.export.Dim("batch", min=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, on its own internals
        return torch.export.export(network, (images,), dynamic_shapes={"images": {0: batch}})
