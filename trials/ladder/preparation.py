"""Everything that the calibration images decide about the rungs of a network, for the ladder and for exports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import cached_property

from torch import nn

from search_space.feature_map import taps
from trials.config import SHARE_MODES, Rung
from trials.data.batches import Batch
from trials.device.compute import Compute
from trials.feature_maps.bias_correction import correct_biases
from trials.feature_maps.deployed import Deployed, deploy, fold
from trials.feature_maps.quantization import OFF
from trials.ladder.calibration import calibrate
from trials.ladder.tap_filter import Range, TapFilter
from trials.ladder.thresholds import CalibratedThresholds


class Preparation:
    """The deployed forms of a trained network and the filters of its taps, by rung.

    Args:
        network: the trained network, in evaluation mode; it is not modified.
        calibration: batches of training images without augmentation.
        compute: device and number format.
    """

    def __init__(self, network: nn.Module, calibration: Sequence[Batch], compute: Compute) -> None:
        self.network, self.calibration, self.compute = network.eval(), calibration, compute
        self._deployed: dict[tuple[object, ...], Deployed] = {}
        self._thresholds: dict[tuple[str, float], dict[str, float]] = {}

    @cached_property
    def ranges(self) -> dict[str, Range]:
        """What every map holds on the calibration images.

        Raises:
            TrialError: a feature map holds NaN or infinity; the message names its tap.
        """
        return calibrate(self.network, self.calibration, self.compute)

    def filters(self, rung: Rung) -> dict[str, TapFilter]:
        """Return what prunes and quantizes the map of each tap at a rung."""
        last = next(reversed(taps(self.network)))
        outer = rung.feature_map_bits if rung.feature_map_bits == OFF else rung.outer_bits
        bits = {last: outer or rung.feature_map_bits}
        thresholds = self._thresholds_at(rung)
        return {
            name: TapFilter.of(rung, calibrated, bits.get(name), thresholds.get(name))
            for name, calibrated in self.ranges.items()
        }

    def freeze(self, rung: Rung, thresholds: Mapping[str, float]) -> None:
        """Use these thresholds, by tap, for a rung, as they were measured before."""
        self._thresholds[rung.threshold_mode, rung.threshold] = dict(thresholds)

    def _thresholds_at(self, rung: Rung) -> dict[str, float]:
        """Return the thresholds that do not follow from the rung and the range of a tap alone, by tap."""
        key = (rung.threshold_mode, rung.threshold)
        if key not in self._thresholds:
            measured: dict[str, float] = {}
            if rung.threshold and rung.threshold_mode in SHARE_MODES:
                measured = dict.fromkeys(self.ranges, 0.0) | self._calibrated.of(
                    rung.threshold_mode, rung.threshold
                )
            self._thresholds[key] = measured
        return self._thresholds[key]

    @cached_property
    def _calibrated(self) -> CalibratedThresholds:
        return CalibratedThresholds(self.network, self.ranges, self.calibration, self.compute)

    def deployed(self, rung: Rung) -> Deployed:
        """Return the network at a rung. Rungs that differ in their maps alone share it, unless it is corrected."""
        settings = (rung.weight_bits, rung.calibration, rung.outer_bits)
        key: tuple[object, ...] = settings
        if rung.correction == "bias":
            key = (*settings, rung.feature_map_bits, rung.threshold_mode, rung.threshold)
        if key not in self._deployed:
            made = deploy(self.network, *settings)
            if rung.correction == "bias":
                reference = deepcopy(self.network)
                if rung.weight_bits != OFF:
                    fold(reference)
                filters = self.filters(rung)
                correct_biases(reference, made.network, filters, self.calibration, self.compute)
            self._deployed[key] = made
        return self._deployed[key]
