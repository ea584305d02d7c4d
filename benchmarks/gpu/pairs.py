"""A supernet of this project and the plain formula with the same parameters, on one device."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.gpu.numerics import largest_difference
from search_space import Supernet
from tests.oracles.matching import copy_to_plain, matches, shuffle_parameters
from tests.oracles.plain_darts import PlainSupernet
from tests.oracles.plain_pc_darts import PlainPartialSupernet

CLASSES = 10


@dataclass(frozen=True)
class Variant:
    """A supernet to compare.

    Attributes:
        side: height and width of the images.
        partial: K of PC-DARTS.
        sizes: of the supernet, where they differ from the usual ones.
    """

    name: str
    space: str
    side: tuple[int, int] = (8, 8)
    images: int = 3
    partial: int = 1
    recompute: bool = False
    sizes: dict[str, Any] = field(default_factory=dict)


VARIANTS = (
    Variant("darts", "darts"),
    Variant("hybrid", "hybrid"),
    Variant("attention", "attention", (12, 10)),
    Variant("PC-DARTS", "darts", partial=2),
    Variant("recomputed", "darts", recompute=True),
    Variant("odd images", "darts", (13, 9)),
    Variant("wide", "darts", (32, 32), 8, sizes={"nodes": 4}),
)
TINY_VARIANTS = tuple(replace(variant, images=2, sizes={"channels": 8}) for variant in VARIANTS[:4])
INTERPRETED = (Variant("darts", "darts", images=2, sizes={"channels": 4, "nodes": 1}),)
SPACES = VARIANTS[:4]
"""All spaces, and partial channels: what bf16 is checked on."""


def pair(variant: Variant, dtype: torch.dtype, device: torch.device) -> tuple[Supernet, PlainSupernet]:
    """Return both forms of a supernet with the same random parameters."""
    torch.manual_seed(0)
    sizes = {
        "cells": 3,
        "channels": 16,
        "nodes": 2,
        "classes": CLASSES,
        "output_node": "concat",
        **variant.sizes,
    }
    k = variant.partial
    fast = Supernet(
        variant.space, **sizes, recompute=variant.recompute, partial_channels=k, edge_normalization=k > 1
    )
    plain = (
        PlainSupernet(variant.space, **sizes) if k == 1 else PlainPartialSupernet(variant.space, k=k, **sizes)
    )
    shuffle_parameters(fast)
    fast.to(device=device, dtype=dtype)
    plain.to(device=device, dtype=dtype)
    copy_to_plain(fast, plain)
    return fast, plain


def batch(variant: Variant, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return random images and labels of a variant; the same numbers in every dtype, up to rounding."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(variant.images, 3, *variant.side, dtype=torch.float64, generator=generator)
    labels = torch.randint(0, CLASSES, (variant.images,), generator=generator)
    return images.to(device=device, dtype=dtype), labels.to(device)


def backward(network: nn.Module, images: Tensor, labels: Tensor, bf16: bool = False) -> Tensor:
    """Compute all gradients of one training step, and return the logits."""
    network.train()
    network.zero_grad()
    with torch.autocast(images.device.type, torch.bfloat16, enabled=bf16):
        logits: Tensor = network(images)
    F.cross_entropy(logits.to(images.dtype), labels).backward()
    return logits


def largest_error(fast: Supernet, plain: PlainSupernet, images: Tensor, labels: Tensor) -> float:
    """Return the largest difference of logits, gradients, running statistics, and logits in evaluation mode."""
    logits = [backward(network, images, labels) for network in (fast, plain)]
    errors = [largest_difference(*logits)]
    for match in matches(fast, plain):
        errors.append(largest_difference(match.part(match.fast), match.plain))  # running statistics
        if match.fast.grad is not None and match.plain.grad is not None:
            errors.append(largest_difference(match.part(match.fast.grad), match.plain.grad))
    with torch.no_grad():
        errors.append(largest_difference(fast.eval()(images), plain.eval()(images)))
    return max(errors)


def architecture_gradients(fast: Supernet, plain: PlainSupernet) -> tuple[list[Tensor], list[Tensor]]:
    """Return the gradients of alphas and betas of both, in the same order."""
    found, expected = [], []
    for match in matches(fast, plain):
        if match.name.startswith(("alpha ", "beta ")):
            assert match.fast.grad is not None
            assert match.plain.grad is not None
            found.append(match.fast.grad)
            expected.append(match.plain.grad)
    return found, expected
