"""Cost of a rung of the ladder: a pass that prunes, quantizes and counts every map, against a plain pass.

The networks are those of the regularization benchmark, and one of the study's size. ``torch_way`` is the same pass with
one torch operation a step: what runs on a GPU, and ran on the CPU before each map was processed in one compiled pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from unittest import mock

import torch

from benchmarks import harness
from benchmarks.harness import Figure, Measured, interleaved
from benchmarks.regularization import ATTENTION, COMPUTE, CONVOLUTIONS
from search_space import Genotype, Network
from trials.config import Rung
from trials.data.batches import Batch
from trials.ladder.ladder import run_pass
from trials.ladder.preparation import Preparation
from trials.points import batch_size

CLASSES, IMAGES = 10, 256
NETWORKS = {
    "conv": ("darts", CONVOLUTIONS, 16, 5, 32),
    "small": ("darts", CONVOLUTIONS, 8, 3, 14),
    "attention": ("attention", ATTENTION, 16, 5, 16),
}
"""Space, genotype, channels, cells, side of an image."""
RUNGS = {
    "32_bits": Rung(
        threshold=0.0, threshold_mode="relative", weight_bits=32, feature_map_bits=32, codec="best"
    ),
    "8_bits": Rung(
        threshold=0.2, threshold_mode="relative", weight_bits=32, feature_map_bits=8, codec="best"
    ),
}


def measure(quick: bool) -> Measured:
    """Measure a rung without and a rung with threshold and quantization, on each network."""
    rounds, images = (3, IMAGES // 4) if quick else (9, IMAGES)
    figures = []
    with harness.one_thread():
        for name, sizes in NETWORKS.items():
            for kind, rung in RUNGS.items():
                timings = interleaved(passes(rung, images, *sizes), rounds, warmup=1)
                of_plain = timings.median_ratio("rung", "plain")
                speedup = timings.median_ratio("torch_way", "rung")
                figures.append(Figure(f"pass_{name}_{kind}", of_plain, "x plain pass", better="lower"))
                figures.append(Figure(f"speedup_{name}_{kind}", speedup, "x torch way"))
    size = {"images": images, "torch_threads": 1, "rounds": rounds}
    return Measured(figures, size | {name: list(sizes[2:]) for name, sizes in NETWORKS.items()})


def passes(
    rung: Rung, images: int, space: str, genotype: Genotype, channels: int, cells: int, side: int
) -> dict[str, Callable[[], object]]:
    """Return a plain pass over the images, a pass at a rung, and the same with one torch operation a step."""
    torch.manual_seed(0)
    network = Network(genotype, channels=channels, cells=cells, classes=CLASSES, space=space, splitting=1)
    COMPUTE.place(network)
    x = torch.randn(images, 3, side, side).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, CLASSES, (images,))
    size = batch_size((3, side, side), COMPUTE.device)
    test: list[Batch] = list(zip(x.split(size), labels.split(size), strict=True))
    filters = Preparation(network, test, COMPUTE).filters(rung)

    def at_rung() -> object:
        return run_pass(network, filters, test, COMPUTE)

    def torch_way() -> object:
        nothing = mock.Mock(return_value=None)
        with (
            mock.patch("trials.ladder.tap_filter.in_memory_order", nothing),
            mock.patch("trials.cost.effective.in_memory_order", nothing),
        ):
            return at_rung()

    return {"plain": lambda: plain_pass(network, test), "rung": at_rung, "torch_way": torch_way}


@torch.no_grad()
def plain_pass(network: Network, test: Iterable[Batch]) -> int:
    """Return the number of images that are classified right."""
    network.eval()
    return sum(int((network(images).argmax(1) == labels).sum()) for images, labels in test)


if __name__ == "__main__":
    harness.main("ladder", measure)
