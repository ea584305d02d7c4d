"""Seeded random streams: a pure function of seed, stream and epoch, the same on every rank and device."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from trials.config.trial import Streams


class Purpose(IntEnum):
    """What a trial draws random numbers for. Each has a seed of its own, computed from the seed of the trial."""

    SEARCH = 1
    """Initial weights and alphas of the supernet, and every other draw in the search."""
    SEARCH_WEIGHTS = 2
    """Order and augmentation of the images from which the weights of the supernet learn."""
    SEARCH_ALPHAS = 3
    """The same for the alphas."""
    TRAINING = 4
    """Initial weights of the discrete network, drop path, and every other draw in the training."""
    TRAINING_IMAGES = 5
    """Order and augmentation of the training images, and which of them are held out of the training."""
    FINETUNING = 6
    """Every draw in a fine-tuning but order and augmentation, which go on from the training."""


_SHARED = {
    Purpose.SEARCH: 0,
    Purpose.SEARCH_WEIGHTS: 0,
    Purpose.SEARCH_ALPHAS: 1,
    Purpose.TRAINING: 1,
    Purpose.TRAINING_IMAGES: 2,
    Purpose.FINETUNING: 3,
}
"""What version 0.1 added to the seed of the trial: the training of seed 0 drew what the alphas of seed 1 drew."""


def seed_of(seed: int, purpose: Purpose, streams: Streams) -> int:
    """Return the seed of one purpose in a trial with this seed.

    >>> seed_of(5, Purpose.TRAINING_IMAGES, "shared")
    7
    """
    if streams == "shared":
        return seed + _SHARED[purpose]
    # 63 bits, which torch and numpy take: two of a million trials have one in common with a probability of 1e-6.
    return int(
        np.random.SeedSequence(seed, spawn_key=(purpose,)).generate_state(1, np.uint64)[0] >> np.uint64(1)
    )


class RandomStream(IntEnum):
    """Independent random streams of one seed. A changed value would change all results."""

    ORDER = 0
    AUGMENTATION = 1
    SUBSET = 2
    HALVES = 3
    STATISTICS = 4
    VALIDATION = 5
    CALIBRATION = 6
    ARCHITECTURE = 7


def generator(seed: int, stream: RandomStream, epoch: int = 0) -> np.random.Generator:
    """Return the generator of one stream.

    Raises:
        ValueError: ``seed`` or ``epoch`` is negative.
    """
    if seed < 0 or epoch < 0:
        raise ValueError(f"`seed` and `epoch` must be at least 0, but got {seed} and {epoch}")
    return np.random.default_rng([seed, int(stream), epoch])
