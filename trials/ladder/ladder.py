"""The ladder: evaluation of one trained network at every threshold, precision and codec, without retraining.

One pass over the validation images per (tau, weight bits, feature-map bits) measures accuracy, sparsity, effective macs
and the histogram of the symbols of every tap; the same pass goes on over the test images, for their accuracy alone. The
sizes under all codecs follow from the histograms. Without validation images, all of it is measured on the test images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

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
from trials.device.reading import on_cpu
from trials.errors import TrialError
from trials.feature_maps.deployed import Deployed, float_bits
from trials.feature_maps.quantization import OFF
from trials.ladder.image_sizes import Sizes, image_sizes
from trials.ladder.outcome import Outcome, Outcomes, classify, outcome_of
from trials.ladder.preparation import Preparation
from trials.ladder.tap_filter import TapCount, TapFilter


def evaluate(
    network: nn.Module, rungs: Sequence[Rung], cost: Cost, compute: Compute, calibration: Sequence[Batch],
    test: Callable[[], Iterable[Batch]],
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
        validation: like ``test``, for the validation images; None: there are none.

    Raises:
        TrialError: a feature map holds NaN or infinity; the message names its tap.
    """
    preparation = Preparation(network, calibration, compute)
    passes: dict[Rung, tuple[PassResult, Outcome, dict[str, Sizes]]] = {}
    codecs: dict[Rung, list[str]] = {}
    for rung in rungs:
        codecs.setdefault(rung.model_copy(update={"codec": ""}), []).append(rung.codec)
    rows = []
    for rung in rungs:
        deployed = preparation.deployed(rung)
        # Rungs that differ only in the codec share a pass.
        without_codec = rung.model_copy(update={"codec": ""})
        if without_codec not in passes:
            filters = preparation.filters(rung)
            counted = run_pass(deployed.network, filters, (validation or test)(), compute)
            tested = counted.outcome
            if validation:
                with listening(deployed.network, {name: filter_.apply for name, filter_ in filters.items()}):
                    tested = classify(deployed.network, test(), compute)
            sizes = image_sizes(deployed.network, filters, calibration, compute, codecs[without_codec])
            passes[without_codec] = counted, tested, sizes
            if compute.device.type == "cpu":
                give_back_memory()  # a pass frees thousands of maps and fragments the heap
        counted, tested, sizes = passes[without_codec]
        row = _row(rung, counted, sizes[rung.codec], deployed, cost)
        rows.append(row | _evaluated_on(counted.outcome if validation else None, tested))
    return rows


@dataclass
class PassResult:
    """Measurements of one pass that prunes, quantizes and counts.

    Attributes:
        outcome: what is classified correctly, and the loss.
        effective_macs: mean per image, by the names of the columns (``trials.cost.effective``).
        filters: what pruned and quantized the map of every tap.
        taps: counts of every tap, over all images.
    """

    outcome: Outcome
    effective_macs: dict[str, float]
    filters: Mapping[str, TapFilter]
    taps: dict[str, TapCount]


@torch.no_grad()
def run_pass(
    network: nn.Module, filters: Mapping[str, TapFilter], batches: Iterable[Batch], compute: Compute
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
    effective = EffectiveMacs(network, structured=True)
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
    # Nothing before has waited for a GPU. All results are read together.
    macs = effective.counted()
    of_taps = [tensor for count in counts.values() for tensor in (count.sums, count.histogram)]
    right, loss, *read = on_cpu([*outcomes.collected(), *macs.values(), *of_taps])
    totals, of_taps = read[: len(macs)], read[len(macs) :]
    for (name, count), sums, histogram in zip(counts.items(), of_taps[::2], of_taps[1::2], strict=True):
        counts[name] = TapCount(count.quantizer, sums, histogram)
        if not counts[name].finite:
            raise TrialError(f"every feature map must be finite, but {name} holds NaN or infinity")
    outcome = outcome_of(right, loss)
    means = {column: int(total) / outcome.images for column, total in zip(macs, totals, strict=True)}
    return PassResult(outcome, means, filters, counts)


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
        bits = count.quantizer.bits
        coded_bytes[name] = tap_bits(count, rung.codec) / 8 / images
        packed_bytes[name] = tap_elements * bits / 8 / images
        if bits != OFF:
            entropy += coding.entropy_from_histogram(count.histogram) / 8 / images
        tap_rows.append(
            {
                "tap": name,
                "elements": round(tap_elements / images),
                "sparsity": tap_zeros / tap_elements,
                "mean_magnitude": magnitude / tap_elements,
                "bytes": coded_bytes[name],
                "threshold": result.filters[name].threshold,
            }
        )
        zeros, elements = zeros + tap_zeros, elements + tap_elements
    weight_bytes = deployed.weight_bytes(rung.codec)
    peaks = cost.peak_map_bytes_by_image(sizes)
    held = {
        name for name, tap in taps(deployed.network).items() if not tap.normalized
    }  # by fused attention, too
    return {
        **rung.model_dump(),
        "accuracy": result.outcome.accuracy,
        "loss": result.outcome.loss,
        **result.effective_macs,
        "weight_bytes": weight_bytes,
        "weight_sparsity": deployed.sparsity(),
        "feature_map_bytes": sum(coded_bytes.values()),
        "feature_map_bytes_fused": sum(size for name, size in coded_bytes.items() if name in held),
        "entropy_bytes": entropy if rung.feature_map_bits != OFF else None,
        "peak_bytes": deployed.weight_bytes("none") + cost.peak_map_bytes(packed_bytes),
        "peak_bytes_fused": deployed.weight_bytes("none") + cost.peak_map_bytes(packed_bytes, fused=True),
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


def tap_bits(count: TapCount, codec: str) -> int:
    """Return the size in bits of the maps of one tap over a whole pass, coded as one stream.

    Quantized maps take the size of the codec; ``none`` takes the bits of the map for each symbol. Unquantized maps take
    :func:`trials.feature_maps.deployed.float_bits`.
    """
    zeros, _, elements = count.totals()
    if count.quantizer.bits == OFF:
        return float_bits(int(elements), int(elements - zeros), codec)
    if codec == "none":
        return int(elements) * count.quantizer.bits
    return coding.size_from_histogram(count.histogram, codec)
