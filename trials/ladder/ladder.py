"""The ladder: evaluation of one trained network at every threshold, precision and codec, without retraining.

One pass over the validation images per (tau, weight bits, feature-map bits) measures accuracy, sparsity, effective macs
and the histogram of the symbols of every tap; the same pass goes on over the test images, for their accuracy alone. The
sizes under all codecs follow from the histograms. Without validation images, all of it is measured on the test images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from results.record_types import PointTap
from search_space.feature_map import FeatureMap, Listener, listening, taps
from trials import coding
from trials.config import Rung
from trials.cost.cost import Cost
from trials.cost.effective import EffectiveMacs
from trials.data.batches import Batch
from trials.device.compute import Compute
from trials.device.memory import give_back_memory
from trials.errors import TrialError
from trials.feature_maps.deployed import Deployed, deploy, float_bits
from trials.feature_maps.quantization import OFF
from trials.ladder.image_sizes import Sizes, image_sizes
from trials.ladder.latency import latency_ms
from trials.ladder.outcome import Outcome, Outcomes, classify
from trials.ladder.tap_filter import Range, TapCount, TapFilter


def evaluate(
    network: nn.Module, rungs: Sequence[Rung], cost: Cost, compute: Compute, calibration: Sequence[Batch],
    test: Callable[[], Iterable[Batch]], latency_for: tuple[int, int, int] | None = None,
    validation: Callable[[], Iterable[Batch]] | None = None,
) -> list[dict[str, object]]:  # fmt: skip
    """Return the measured columns of the points table (``results.schema``), one row per rung.

    Args:
        network: the trained network; it is not modified.
        rungs: thresholds, precisions and codecs to evaluate.
        cost: the cost of the network (:func:`trials.cost.count_cost`).
        compute: device and number format.
        calibration: batches of training images without augmentation, for ranges and mean magnitudes of the maps, and
            for the memory, which is that of the image that needs most.
        test: returns an iterator over the test batches; called once per pass.
        latency_for: [C, H, W] of an image to also measure the latency; None: not measured.
        validation: like ``test``, for the validation images; None: there are none.

    Raises:
        TrialError: a feature map holds NaN or infinity; the message names its tap.
    """
    ranges = calibrate(network, calibration, compute)
    deployed: dict[int, Deployed] = {}
    passes: dict[Rung, tuple[PassResult, Outcome, dict[str, Sizes]]] = {}
    codecs: dict[Rung, list[str]] = {}
    for rung in rungs:
        codecs.setdefault(rung.model_copy(update={"codec": ""}), []).append(rung.codec)
    rows = []
    for rung in rungs:
        if rung.weight_bits not in deployed:
            deployed[rung.weight_bits] = deploy(network, rung.weight_bits)
        # Rungs that differ only in the codec share a pass.
        without_codec = rung.model_copy(update={"codec": ""})
        if without_codec not in passes:
            filters = {name: TapFilter.of(rung, calibrated) for name, calibrated in ranges.items()}
            of_bits = deployed[rung.weight_bits].network
            counted = run_pass(of_bits, filters, (validation or test)(), compute)
            tested = counted.outcome
            if validation:
                with listening(of_bits, {name: filter_.apply for name, filter_ in filters.items()}):
                    tested = classify(of_bits, test(), compute)
            sizes = image_sizes(of_bits, filters, calibration, compute, codecs[without_codec])
            passes[without_codec] = counted, tested, sizes
            if compute.device.type == "cpu":
                give_back_memory()  # a pass frees thousands of maps and fragments the heap
        counted, tested, sizes = passes[without_codec]
        row = _row(rung, counted, sizes[rung.codec], deployed[rung.weight_bits], cost)
        rows.append(row | _evaluated_on(counted.outcome if validation else None, tested))
    if latency_for:
        milliseconds = {
            f"latency_{batch}_ms": latency_ms(network, latency_for, batch, compute) for batch in (1, 64)
        }
        rows = [row | milliseconds for row in rows]
    return rows


@dataclass
class PassResult:
    """Measurements of one pass that prunes, quantizes and counts.

    Attributes:
        outcome: what is classified correctly, and the loss.
        effective_macs: mean per image.
        taps: counts of every tap, over all images.
    """

    outcome: Outcome
    effective_macs: float
    taps: dict[str, TapCount] = field(default_factory=dict)


@torch.no_grad()
def calibrate(network: nn.Module, batches: Sequence[Batch], compute: Compute) -> dict[str, Range]:
    """Return the range and the mean magnitude of every tap of ``network``, in evaluation mode, over ``batches``.

    Raises:
        TrialError: a feature map holds NaN or infinity; the message names its tap.
    """
    measured: dict[str, list[Tensor]] = {}
    features: dict[str, list[int]] = {}

    def listener(name: str, tap: FeatureMap) -> Listener:
        def measure(x: Tensor) -> Tensor:
            real = tap.features(x)
            low, high = real.aminmax()
            measured.setdefault(name, []).append(torch.stack([low, high, real.abs().mean()]).double())
            features.setdefault(name, []).append(real.numel())  # batches may be of different size
            return x

        return measure

    network.eval()
    listeners = {name: listener(name, tap) for name, tap in taps(network).items()}
    with listening(network, listeners), compute.autocast():
        for images, _ in batches:
            network(images)
    ranges = {}
    for name, of_batches in measured.items():
        low, high, magnitude = torch.stack(of_batches).cpu().unbind(1)
        if not torch.isfinite(magnitude).all():
            raise TrialError(f"every feature map must be finite, but {name} holds NaN or infinity")
        weights = torch.tensor(features[name], dtype=torch.float64)
        mean = float(magnitude @ weights / weights.sum())
        ranges[name] = Range(float(low.min()), float(high.max()), mean)
    return ranges


@torch.no_grad()
def run_pass(
    network: nn.Module, filters: dict[str, TapFilter], batches: Iterable[Batch], compute: Compute
) -> PassResult:
    """Evaluate ``network`` on ``batches`` with pruned and quantized taps.

    Args:
        network: the network, in evaluation mode.
        filters: the filter of every tap, by name.
        batches: images and labels.
        compute: device and number format.

    Raises:
        TrialError: a feature map holds NaN or infinity; the message names its tap.
    """
    counts: dict[str, TapCount] = {}
    effective = EffectiveMacs(network)
    named = taps(network)
    listeners = {
        name: _counting_listener(name, named[name], filter_, counts) for name, filter_ in filters.items()
    }
    outcomes = Outcomes()
    with effective.counting(listeners):
        for batch, labels in batches:
            with compute.autocast():
                logits = network(batch)
            outcomes.add(logits, labels)
    for name, count in counts.items():
        if not count.finite:
            raise TrialError(f"every feature map must be finite, but {name} holds NaN or infinity")
    outcome = outcomes.total()
    return PassResult(outcome, effective.total() / outcome.images, counts)


def _counting_listener(
    name: str, tap: FeatureMap, filter_: TapFilter, counts: dict[str, TapCount]
) -> Listener:
    def listen(x: Tensor) -> Tensor:
        filtered, count = filter_.apply_and_count(tap.features(x))
        counts[name] = counts[name] + count if name in counts else count
        return filtered if tap.inside is None else filter_.apply(x)

    return listen


def _row(rung: Rung, result: PassResult, sizes: Sizes, deployed: Deployed, cost: Cost) -> dict[str, object]:
    images = result.outcome.images
    coded_bytes, packed_bytes = {}, {}  # of every tap, per image: with the codec, and without any
    tap_rows: list[PointTap] = []
    zeros = elements = entropy = 0.0
    for name, count in result.taps.items():
        tap_zeros, magnitude, tap_elements = count.totals()
        coded_bytes[name] = tap_bits(count, rung) / 8 / images
        packed_bytes[name] = tap_elements * rung.feature_map_bits / 8 / images
        if rung.feature_map_bits != OFF:
            entropy += coding.entropy_from_histogram(count.histogram) / 8 / images
        tap_rows.append(
            {
                "tap": name,
                "elements": round(tap_elements / images),
                "sparsity": tap_zeros / tap_elements,
                "mean_magnitude": magnitude / tap_elements,
                "bytes": coded_bytes[name],
            }
        )
        zeros, elements = zeros + tap_zeros, elements + tap_elements
    weight_bytes = deployed.weight_bytes(rung.codec)
    peaks = cost.peak_map_bytes_by_image(sizes)
    return {
        **rung.model_dump(),
        "accuracy": result.outcome.accuracy,
        "loss": result.outcome.loss,
        "effective_macs": result.effective_macs,
        "weight_bytes": weight_bytes,
        "weight_sparsity": deployed.sparsity(),
        "feature_map_bytes": sum(coded_bytes.values()),
        "entropy_bytes": entropy if rung.feature_map_bits != OFF else None,
        "peak_bytes": deployed.weight_bytes("none") + cost.peak_map_bytes(packed_bytes),
        "memory_bytes": weight_bytes + float(peaks.max()),
        "memory_bytes_mean": weight_bytes + float(peaks.mean()),
        "memory_bytes_fused": weight_bytes + float(cost.peak_map_bytes_by_image(sizes, fused=True).max()),
        "sparsity": zeros / elements if elements else 0.0,
        "taps": tap_rows,
    }


def _evaluated_on(validated: Outcome | None, tested: Outcome) -> dict[str, object]:
    """Return the columns of the images; ``validated`` is None for a rung measured on the test images alone."""
    return {
        "validation_images": validated.images if validated else 0,
        "test_accuracy": tested.accuracy,
        "test_loss": tested.loss,
        "test_images": tested.images,
        "correct": tested.bits(),
    }


def tap_bits(count: TapCount, rung: Rung) -> int:
    """Return the size in bits of the maps of one tap over a whole pass, coded as one stream.

    Quantized maps take the size of the codec; ``none`` takes ``feature_map_bits`` for each symbol. Unquantized maps
    take :func:`trials.feature_maps.deployed.float_bits`.
    """
    zeros, _, elements = count.totals()
    if rung.feature_map_bits == OFF:
        return float_bits(int(elements), int(elements - zeros), rung.codec)
    if rung.codec == "none":
        return int(elements) * rung.feature_map_bits
    return coding.size_from_histogram(count.histogram, rung.codec)
