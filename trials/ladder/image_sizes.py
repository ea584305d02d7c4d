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

    Args:
        network: the network, in evaluation mode, with its weights as deployed.
        filters: the filter of every tap, by name.
        batches: the images.
        compute: device and number format.
        codecs: codecs, ``best`` and ``none``.
    """
    parts: dict[str, dict[str, list[NDArray[np.float64]]]] = {codec: {} for codec in codecs}
    counted: dict[
        str, tuple[Tensor, int]
    ] = {}  # of one batch: counts of the images, and features of an image

    def listener(tap: FeatureMap, name: str) -> Listener:
        def count(x: Tensor) -> Tensor:
            filtered, counts = filters[name].apply_and_count_by_image(tap.features(x))
            counted[name] = counts, filtered[0].numel()
            return filtered if tap.inside is None else filters[name].apply(x)

        return count

    named = taps(network)
    with listening(network, {name: listener(named[name], name) for name in filters}):
        for images, _ in batches:
            counted.clear()
            with compute.autocast():
                network(images)
            for name, (counts, features) in counted.items():
                on_cpu = counts.cpu().numpy()
                for codec in codecs:
                    bits = _bits(on_cpu, features, filters[name].quantizer.bits, codec)
                    parts[codec].setdefault(name, []).append(bits / 8)
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
