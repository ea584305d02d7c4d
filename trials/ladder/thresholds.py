"""Thresholds that calibration images decide: one for each tap, the same for all images.

``share``: so that a share of the features of each tap is zero. ``error``: by the error of the layer that reads the map.
``budget``: by the macs and the output of the whole network. All of them prune only maps that a multiplication reads: in
maps that wait, zeros save none. A threshold on a rectified map is FATReLU (Kurtz et al., ICML 2020).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import torch
from torch import nn

from trials.data.batches import Batch
from trials.device.compute import Compute
from trials.ladder.budget import Allocation
from trials.ladder.layer_error import read_taps, thresholds_of_error
from trials.ladder.tap_filter import Range

ERROR_IMAGES = 64
"""About how many calibration images errors are measured on: a budget takes hundreds of passes."""


class CalibratedThresholds:
    """Thresholds of the taps of a network, by mode and value.

    Args:
        network: the trained network, in evaluation mode.
        ranges: what every map holds on the calibration images.
        calibration: the calibration images.
        compute: device and number format.
    """

    def __init__(
        self, network: nn.Module, ranges: Mapping[str, Range], calibration: Sequence[Batch], compute: Compute
    ) -> None:
        self.network, self.ranges, self.compute = network, ranges, compute
        self.batches = some_of(calibration, ERROR_IMAGES)

    def of(self, mode: str, value: float) -> dict[str, float]:
        """Return the threshold of each tap that is pruned."""
        if mode == "share":
            return {name: self.ranges[name].histogram.threshold_of(value) for name in read_taps(self.network)}
        if mode == "error":
            return thresholds_of_error(self.network, self.ranges, value, self.batches, self.compute)
        return self._allocation.thresholds(value)

    @cached_property
    def _allocation(self) -> Allocation:
        return Allocation(self.network, self.ranges, self.batches, self.compute)


def some_of(batches: Sequence[Batch], count: int) -> list[Batch]:
    """Return about ``count`` images, spread evenly over ``batches``, whose order may be that of the classes."""
    images, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    step, size = max(1, len(labels) // count), len(batches[0][1])
    return list(zip(images[::step].split(size), labels[::step].split(size), strict=True))
