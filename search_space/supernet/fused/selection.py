"""When the fused stages are used: inside ``fusing(True)``, in training, where they support all that a cell has.

Otherwise torch's operations compute the same; they are the reference, and the only way on a CPU. The fused stages
become the default on a GPU once they were measured on one: so far they were held against torch in Triton's
interpreter, and compiled for sm_90.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

from search_space.supernet.mixed import MixedNode

MOST_CHANNELS = 128
"""Widest map that a kernel can hold a C x C matrix for."""

_choice: ContextVar[bool | None] = ContextVar("fused", default=None)


@contextmanager
def fusing(choice: bool) -> Iterator[None]:
    """Use the fused stages within a ``with`` block on every device, or never.

    On a CPU they need Triton's interpreter.
    """
    token = _choice.set(choice)
    try:
        yield
    finally:
        _choice.reset(token)


def can_fuse(nodes: Sequence[MixedNode], x: Tensor) -> bool:
    """Return whether the fused stages compute the mixed nodes of a cell, whose sources are maps like ``x``."""
    return bool(_choice.get()) and all(_supported(node, x) for node in nodes)


def _supported(node: MixedNode, x: Tensor) -> bool:
    """Return whether a node is in training, has convolutions, and its statistics are those of this process alone."""
    return (
        node.training
        and bool(node.separable or node.dilated)
        and node.last.group is None  # a sum over ranks would have to run between two kernels
        and node.channels <= MOST_CHANNELS
        and x.dtype in (torch.float64, torch.float32, torch.bfloat16)
    )
