"""Sizes of the supernets that are measured."""

from __future__ import annotations

from typing import TypedDict


class Size(TypedDict):
    """Size of a supernet and its batch; ``image`` is [C, H, W]."""

    cells: int
    channels: int
    image: tuple[int, int, int]
    batch: int


WIDE: Size = {"cells": 8, "channels": 16, "image": (3, 32, 32), "batch": 16}
NARROW: Size = {"cells": 5, "channels": 8, "image": (1, 16, 16), "batch": 32}
ON_GPU: Size = {"cells": 8, "channels": 16, "image": (3, 32, 32), "batch": 64}
CLASSES = 10
