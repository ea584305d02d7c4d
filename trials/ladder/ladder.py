"""The ladder: one trained network at every threshold, precision and codec. Nothing is retrained.

One pass over the test images for each (tau, weight bits, feature-map bits) gives accuracy, sparsity, effective macs and
the histogram of every tap's symbols; every codec's size follows from the histograms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_space.feature_map import Listener, listening, taps
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
from trials.ladder.latency import latency_ms
from trials.ladder.tap_filter import Range, TapCount, TapFilter


def evaluate(
    network: nn.Module, rungs: Sequence[Rung], cost: Cost, compute: Compute, calibration: Sequence[Batch],
    test: Callable[[], Iterable[Batch]], latency_for: tuple[int, int, int] | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return the measured columns of the points table, one row for each of ``rungs``.

    Args:
        network: the trained network; it stays as it is.
        cost: what it costs (``cost.count_cost``).
        calibration: batches of training images without augmentation; ranges and scales are taken from them.
        test: makes the batches of test images anew.
        latency_for: [C, H, W] of the images that the latency is measured for; None: it is not measured.

    Raises:
        TrialError: a feature map holds NaN; the tap is named.
    """
    ranges = calibrate(network, calibration, compute)
    deployed: dict[int, Deployed] = {}
    passes: dict[Rung, Pass] = {}
    rows = []
    for rung in rungs:
        if rung.weight_bits not in deployed:
            deployed[rung.weight_bits] = deploy(network, rung.weight_bits)
        place = rung.model_copy(update={"codec": ""})  # what decides a pass
        if place not in passes:
            filters = {name: TapFilter.of(rung, seen) for name, seen in ranges.items()}
            passes[place] = run_pass(deployed[rung.weight_bits].network, filters, test(), compute)
            give_back_memory()  # a pass frees maps by the thousand, in pieces
        rows.append(_row(rung, passes[place], deployed[rung.weight_bits], cost))
    if latency_for:
        milliseconds = {
            f"latency_{batch}_ms": latency_ms(network, latency_for, batch, compute) for batch in (1, 64)
        }
        rows = [row | milliseconds for row in rows]
    return rows


@dataclass
class Pass:
    """One pass over the test images."""

    images: int
    accuracy: float
    loss: float
    effective_macs: float
    taps: dict[str, TapCount] = field(default_factory=dict)


@torch.no_grad()
def calibrate(network: nn.Module, batches: Sequence[Batch], compute: Compute) -> dict[str, Range]:
    """Return the range and mean magnitude of every tap of ``network`` (evaluation mode) over ``batches``.

    Raises TrialError for a map that holds NaN or infinity.
    """
    seen: dict[str, list[Tensor]] = {}

    def listener(name: str) -> Listener:
        def look(x: Tensor) -> Tensor:
            low, high = x.aminmax()
            seen.setdefault(name, []).append(torch.stack([low, high, x.abs().mean()]).double())
            return x

        return look

    network.eval()
    with listening(network, {name: listener(name) for name in taps(network)}), compute.autocast():
        for images, _ in batches:
            network(images)
    ranges = {}
    for name, found in seen.items():
        low, high, magnitude = torch.stack(found).unbind(1)
        if not torch.isfinite(magnitude).all():
            raise TrialError(f"every feature map must be finite, but {name} holds NaN or infinity")
        ranges[name] = Range(float(low.min()), float(high.max()), float(magnitude.mean()))
    return ranges


@torch.no_grad()
def run_pass(
    network: nn.Module, filters: dict[str, TapFilter], batches: Iterable[Batch], compute: Compute
) -> Pass:
    """Run ``network`` over ``batches`` with every tap filtered, and count what passes.

    Raises TrialError for a map that holds NaN or infinity.
    """
    counts: dict[str, TapCount] = {}
    effective = EffectiveMacs(network)
    listeners = {name: _counting(name, one, counts) for name, one in filters.items()}
    images, right, loss = 0, 0, 0.0
    with effective.counting(listeners):
        for batch, labels in batches:
            with compute.autocast():
                logits = network(batch)
            images += len(labels)
            right += int((logits.argmax(1) == labels).sum())
            loss += float(F.cross_entropy(logits.double(), labels, reduction="sum"))
    for name, count in counts.items():
        if not count.finite:
            raise TrialError(f"every feature map must be finite, but {name} holds NaN or infinity")
    return Pass(images, right / images, loss / images, effective.total() / images, counts)


def _counting(name: str, one: TapFilter, counts: dict[str, TapCount]) -> Listener:
    def listen(x: Tensor) -> Tensor:
        x, found = one.counted(x)
        counts[name] = counts[name] + found if name in counts else found
        return x

    return listen


def _row(rung: Rung, found: Pass, deployed: Deployed, cost: Cost) -> dict[str, Any]:
    stored, dense, tap_rows = {}, {}, []
    zeros = elements = entropy = 0.0
    for name, count in found.taps.items():
        zero, magnitude, total = count.totals()
        stored[name] = tap_bits(count, rung) / 8 / found.images
        dense[name] = total * rung.feature_map_bits / 8 / found.images
        if rung.feature_map_bits != OFF:
            entropy += coding.entropy_from_histogram(count.histogram) / 8 / found.images
        tap_rows.append(
            {
                "tap": name,
                "elements": round(total / found.images),
                "sparsity": zero / total,
                "mean_magnitude": magnitude / total,
                "bytes": stored[name],
            }
        )
        zeros, elements = zeros + zero, elements + total
    weight_bytes = deployed.weight_bytes(rung.codec)
    return {
        **rung.model_dump(),
        "accuracy": found.accuracy,
        "loss": found.loss,
        "effective_macs": found.effective_macs,
        "weight_bytes": weight_bytes,
        "weight_sparsity": deployed.sparsity(),
        "feature_map_bytes": sum(stored.values()),
        "entropy_bytes": entropy if rung.feature_map_bits != OFF else None,
        "peak_bytes": deployed.weight_bytes("none") + cost.peak_map_bytes(dense),
        "memory_bytes": weight_bytes + cost.peak_map_bytes(stored),
        "sparsity": zeros / elements if elements else 0.0,
        "taps": tap_rows,
    }


def tap_bits(count: TapCount, rung: Rung) -> int:
    """Return the bits of one tap's maps over a whole pass, coded as one stream.

    Quantized maps take the codec's size; ``none`` packs them at their bits. Unquantized ones take 4 bytes a feature;
    with ``zero_value`` a mask and 4 bytes for each that is not zero, with ``best`` the smaller of both.
    """
    zeros, _, elements = count.totals()
    if rung.feature_map_bits == OFF:
        return float_bits(int(elements), int(elements - zeros), rung.codec)
    if rung.codec == "none":
        return int(elements) * rung.feature_map_bits
    return coding.size_from_histogram(count.histogram, rung.codec)
