"""How long the parts of a trial take on this machine, and how large its networks are, before any of it runs.

Steps are timed on random images, in batches that are small enough for any machine. Reading image files, and what the
workers of a gang exchange, are not included.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from search_space import Genotype
from trials.config import Rung, TrialConfig
from trials.cost.cost import Cost, count_cost
from trials.data.image_set import Images, ImageSet, statistics
from trials.device.compute import Compute
from trials.device.parallel import Mesh
from trials.ladder.ladder import evaluate
from trials.points import evaluation_batches
from trials.search.expected_macs import mac_tables
from trials.search.extremes import extreme_genotypes, sized_supernet
from trials.search.search import Search
from trials.train.training import Training, build_network

MACS = 1e10
"""Multiply-adds of the supernet's forward pass in one timed batch, at most: some seconds on one core."""
LARGEST_BATCH = 16
SMALLEST_BATCH = 2
PASSES = 3
"""Passes of a rung: over validation images, test images, and those of the calibration."""
REPEATS = 2
"""Timed steps of each size, after one that is not; the fastest counts."""

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class StepTimes:
    """Seconds on this machine.

    Attributes:
        search_s: a step of the search, of the alphas and of the weights; 0 without a search.
        train_s: a step of the training.
        image_s: a rung of the ladder, for each image of one of its passes.
    """

    search_s: float
    train_s: float
    image_s: float


def time_steps(
    config: TrialConfig, shape: Shape, classes: int, workers: int, *, on_gpu: bool = False
) -> StepTimes | None:
    """Time the steps of one worker of a trial, for images of ``shape`` [C, H, W]; None without the GPU it needs."""
    if on_gpu and not torch.cuda.is_available():
        return None
    device = torch.device("cuda" if on_gpu else "cpu")
    compute = Compute.of(config.device, device)
    largest = _largest_batch(config, shape, classes)
    of_search, of_training = (
        max(1, size // workers)
        for size in (config.data.batch_size, config.train.batch_size or config.data.batch_size)
    )
    some = partial(_images, shape, classes, device=device)
    search_s, genotype = 0.0, extreme_genotypes(config, shape, classes)[1]
    if config.search_epochs:

        def search_step(size: int) -> float:
            nonlocal genotype
            search = Search(_with_batch(config, size), some(2 * (REPEATS + 1) * size), compute, Mesh())
            search.step = timed = _Stopwatch(search.step, device)  # type: ignore[assignment]
            search.run_epoch(min(config.search.alpha_warmup_epochs, config.search.epochs - 1))
            genotype = search.genotype()
            return timed.fastest()

        search_s = _scaled(search_step, of_search, largest)

    def train_step(size: int) -> float:
        training = Training(_with_batch(config, size), genotype, some((REPEATS + 1) * size), compute, Mesh())
        training.step = timed = _Stopwatch(training.step, device)  # type: ignore[assignment]
        training.run_epoch(0)
        return timed.fastest()

    return StepTimes(
        search_s,
        _scaled(train_step, of_training, 4 * largest),
        _time_rung(config, genotype, some(4 * largest), compute),
    )


def extreme_costs(config: TrialConfig, shape: Shape, classes: int) -> tuple[Cost, Cost]:
    """Return the costs of the networks with the fewest and with the most macs that a search could derive."""
    images = _images(shape, classes, 1, torch.device("cpu"))
    least, most = extreme_genotypes(config, shape, classes)
    return tuple(count_cost(build_network(config, genotype, images), shape) for genotype in (least, most))  # type: ignore[return-value]


class _Stopwatch:
    """Calls a step, and measures how long it takes."""

    def __init__(self, step: Callable[[], None], device: torch.device) -> None:
        self._step, self._device = step, device
        self._seconds: list[float] = []

    def __call__(self) -> None:
        begin = time.perf_counter()
        self._step()
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        self._seconds.append(time.perf_counter() - begin)

    def fastest(self) -> float:
        """Return the seconds of the fastest step after the first."""
        return min(self._seconds[1:] or self._seconds)


def _largest_batch(config: TrialConfig, shape: Shape, classes: int) -> int:
    fixed, tables = mac_tables(sized_supernet(config, shape, classes), shape)
    macs = fixed + sum(float(table.sum()) for table in tables.values())
    return int(min(LARGEST_BATCH, max(SMALLEST_BATCH, MACS / macs)))


def _scaled(seconds_of: Callable[[int], float], size: int, largest: int) -> float:
    """Return the seconds of a step with ``size`` images: timed, or on the line through two smaller sizes."""
    if size <= largest:
        return seconds_of(max(SMALLEST_BATCH, size))
    small = max(SMALLEST_BATCH, largest // 4)
    of_small, of_large = seconds_of(small), seconds_of(largest)
    if small == largest:
        return of_large * size / largest
    each = max(0.0, of_large - of_small) / (largest - small)
    return of_large + each * (size - largest)


def _time_rung(config: TrialConfig, genotype: Genotype, images: Images, compute: Compute) -> float:
    """Return the seconds of one rung of the ladder for one image, whichever of its passes the image is for."""
    network = build_network(config, genotype, images)
    compute.place(network)
    cost, batches = count_cost(network, images.shape), evaluation_batches(images, compute)
    rung = Rung(threshold=0.1, threshold_mode="absolute", weight_bits=32, feature_map_bits=8, codec="best")

    def evaluate_once() -> None:
        passes = (list(batches.epoch()), batches.epoch)
        evaluate(network, [rung], cost, compute, *passes, validation=batches.epoch)

    timed = _Stopwatch(evaluate_once, compute.device)
    for _ in range(1 + REPEATS):
        timed()
    return timed.fastest() / (PASSES * len(images.test))


def _with_batch(config: TrialConfig, size: int) -> TrialConfig:
    data = config.data.model_copy(update={"batch_size": size})
    train = config.train.model_copy(update={"batch_size": None, "validation_share": 0.0})
    return config.model_copy(update={"data": data, "train": train})


def _images(shape: Shape, classes: int, count: int, device: torch.device) -> Images:
    """Return ``count`` random images."""
    random = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, *shape), generator=random, dtype=torch.uint8).to(device)
    labels = torch.arange(count, device=device) % classes
    images = ImageSet(pixels, labels, *statistics(pixels))
    return Images(images, images, classes, tuple(map(str, range(classes))), None)
