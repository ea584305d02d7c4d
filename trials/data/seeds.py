"""Seeded random streams: a pure function of seed, stream and epoch, the same on every rank and device."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class RandomStream(IntEnum):
    """Independent random streams of one seed. A changed value would change all results."""

    ORDER = 0
    AUGMENTATION = 1
    SUBSET = 2
    HALVES = 3
    STATISTICS = 4
    VALIDATION = 5
    CALIBRATION = 6


def generator(seed: int, stream: RandomStream, epoch: int = 0) -> np.random.Generator:
    """Return the generator of one stream.

    Raises:
        ValueError: ``seed`` or ``epoch`` is negative.
    """
    if seed < 0 or epoch < 0:
        raise ValueError(f"`seed` and `epoch` must be at least 0, but got {seed} and {epoch}")
    return np.random.default_rng([seed, int(stream), epoch])
