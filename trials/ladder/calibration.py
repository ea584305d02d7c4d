"""Calibration: what the maps of a trained network hold on calibration images.

Shapes: B batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from search_space.feature_map import FeatureMap, Listener, listening, taps
from trials.data.batches import Batch
from trials.device.compute import Compute
from trials.device.reading import on_cpu
from trials.errors import TrialError
from trials.feature_maps.histogram import Histogram, count_patterns
from trials.ladder.tap_filter import Range


@torch.no_grad()
def calibrate(network: nn.Module, batches: Sequence[Batch], compute: Compute) -> dict[str, Range]:
    """Return range, mean magnitude and histogram of every tap of ``network``, in evaluation mode, over ``batches``.

    Raises:
        TrialError: a feature map holds NaN or infinity; the message names its tap.
    """
    measured: dict[str, list[Tensor]] = {}
    features: dict[str, list[int]] = {}
    patterns: dict[str, Tensor] = {}

    def listener(name: str, tap: FeatureMap) -> Listener:
        def measure(x: Tensor) -> Tensor:
            real = tap.features(x)
            low, high = real.aminmax()
            measured.setdefault(name, []).append(torch.stack([low, high, real.abs().mean()]).double())
            features.setdefault(name, []).append(real.numel())  # batches may be of different size
            counted = count_patterns(real)
            patterns[name] = patterns[name] + counted if name in patterns else counted
            return x

        return measure

    network.eval()
    listeners = {name: listener(name, tap) for name, tap in taps(network).items()}
    with listening(network, listeners), compute.autocast():
        for images, _ in batches:
            network(images)
    ranges = {}
    # Nothing before has waited for a GPU. All results are read together.
    read = on_cpu([torch.stack(of_batches) for of_batches in measured.values()] + list(patterns.values()))
    for name, of_batches, counts in zip(measured, read, read[len(measured) :], strict=False):
        low, high, magnitude = of_batches.unbind(1)
        if not torch.isfinite(magnitude).all():
            raise TrialError(f"every feature map must be finite, but {name} holds NaN or infinity")
        weights = torch.tensor(features[name], dtype=torch.float64)
        mean = float(magnitude @ weights / weights.sum())
        histogram = Histogram.of(counts)
        ranges[name] = Range(float(low.min()), float(high.max()), mean, histogram)
    return ranges
