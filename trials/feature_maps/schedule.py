"""The course of lambda over a training: it may rise while the network learns.

A network that is regularized from its first step learns under a penalty on features that do not mean anything yet.
ProSparse (Song et al., 2024) raises lambda in stages, each along half a period of a sine.
"""

from __future__ import annotations

import math
from collections.abc import Callable

STAGES = 4
"""Steps of ``stages``."""

SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda part: 1.0,
    "linear": lambda part: part,
    "sine": lambda part: (1 - math.cos(math.pi * part)) / 2,
    "stages": lambda part: math.ceil(STAGES * part) / STAGES,
}
"""Share of lambda by the part of the training after the warm-up that is done, 0 to 1."""


def share_of_lambda(schedule: str, warm_up: float, epoch: int, epochs: int) -> float:
    """Return the share of lambda that applies in ``epoch`` (from 0) of ``epochs``; it is 1 in the last.

    It is 0 in every epoch that begins and ends within the share ``warm_up`` of the training.

    >>> [share_of_lambda("linear", 0.5, epoch, 4) for epoch in range(4)]
    [0.0, 0.0, 0.5, 1.0]
    """
    part = ((epoch + 1) / epochs - warm_up) / (1 - warm_up)
    return SCHEDULES[schedule](min(part, 1.0)) if part > 1e-9 else 0.0
