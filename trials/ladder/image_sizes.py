"""The size of each tap's map as stored, image by image: a memory that must hold every image holds the largest."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from search_space.feature_map import FeatureMap, Listener, listening, taps
from trials import coding
from trials.data.batches import Batch
from trials.device.compute import Compute
from trials.device.reading import on_cpu
from trials.feature_maps.deployed import float_bits
from trials.feature_maps.quantization import OFF
from trials.ladder.tap_filter import TapFilter

Sizes = dict[str, NDArray[np.float64]]
"""Bytes of each tap's map, [images]."""


@torch.no_grad()
def image_sizes(
    network: nn.Module, filters: Mapping[str, TapFilter], batches: Iterable[Batch], compute: Compute,
    codecs: Collection[str],
) -> dict[str, Sizes]:  # fmt: skip
    """Return the size of every map under each of ``codecs``, each map of an image coded as a stream of its own.

    The counts of a GPU are read once, after all batches. Those of the CPU are coded after every batch, to save memory.

    Args:
        network: the network, in evaluation mode, with its weights as deployed.
        filters: the filter of every tap, by name.
        batches: the images.
        compute: device and number format.
        codecs: codecs, ``best`` and ``none``.
    """
    parts: dict[str, dict[str, list[NDArray[np.float64]]]] = {codec: {} for codec in codecs}
    counted: list[tuple[str, int, Tensor]] = []  # tap, features of an image, counts of the images of a batch

    def listener(tap: FeatureMap, name: str) -> Listener:
        def count(x: Tensor) -> Tensor:
            filtered, counts = filters[name].apply_and_count_by_image(tap.features(x))
            counted.append((name, filtered[0].numel(), counts))
            return filtered if tap.inside is None else filters[name].apply(x)

        return count

    def code() -> None:
        read = on_cpu([counts for _, _, counts in counted])
        for (name, features, _), counts in zip(counted, read, strict=True):
            for codec in codecs:
                bits = _bits(counts.numpy(), features, filters[name].quantizer.bits, codec)
                parts[codec].setdefault(name, []).append(bits / 8)
        counted.clear()

    named = taps(network)
    with listening(network, {name: listener(named[name], name) for name in filters}):
        for images, _ in batches:
            with compute.autocast():
                network(images)
            if compute.device.type == "cpu":
                code()
    code()
    return {
        codec: {name: np.concatenate(of_tap) for name, of_tap in maps.items()}
        for codec, maps in parts.items()
    }


def _bits(counts: NDArray[np.int64], features: int, bits: int, codec: str) -> NDArray[np.int64]:
    """Return the size of one tap's map of each image, [B], from the counts of a :class:`TapFilter`."""
    values = np.full(len(counts), features, dtype=np.int64)
    if bits == OFF:
        return float_bits(values, counts, codec)
    return values * bits if codec == "none" else coding.sizes_from_histograms(counts, codec)
