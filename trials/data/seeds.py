"""Random numbers as a pure function of seed, purpose and epoch: the same on every rank and device."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What random numbers are for: two purposes never share a stream. The values are part of every result."""

    ORDER = 0
    AUGMENTATION = 1
    SUBSET = 2
    HALVES = 3
    STATISTICS = 4


def generator(seed: int, purpose: Purpose, epoch: int = 0) -> np.random.Generator:
    """Return the generator of one stream; ``seed`` and ``epoch`` are 0 or more, else ValueError."""
    if seed < 0 or epoch < 0:
        raise ValueError(f"`seed` and `epoch` must be at least 0, but got {seed} and {epoch}")
    return np.random.default_rng([seed, int(purpose), epoch])
