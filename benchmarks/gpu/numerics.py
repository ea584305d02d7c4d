"""Switches of the number formats of a GPU, and measures of difference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Allow or forbid TF32 in matrix products and convolutions within the ``with`` block; forbid it afterwards."""
    _allow_tf32(allowed)
    try:
        yield
    finally:
        _allow_tf32(False)


def _allow_tf32(allowed: bool) -> None:
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


def largest_difference(found: Tensor, expected: Tensor) -> float:
    """Return the largest absolute difference, computed in float64; infinite where either is not finite."""
    difference = (found.detach().double() - expected.detach().double()).abs().max()
    return float(difference) if bool(torch.isfinite(difference)) else float("inf")


def relative_error(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """Return ||found - expected|| / ||expected|| of all tensors together, in float64; infinite if not finite."""
    left, right = (
        torch.cat([t.detach().double().flatten() for t in tensors]) for tensors in (found, expected)
    )
    error = (left - right).norm() / right.norm()
    return float(error) if bool(torch.isfinite(error)) else float("inf")


def differences(one: object, other: object, path: str = "") -> Iterator[tuple[str, float]]:
    """Yield path and size of every difference between two states: nested mappings and sequences of tensors and values.

    The size is the largest absolute difference of two tensors of equal shape, otherwise infinite.
    """
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        if one.shape != other.shape or one.dtype != other.dtype:
            yield path, float("inf")
        elif not torch.equal(one, other):
            yield path, largest_difference(one, other)
    elif isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in sorted({*one, *other}, key=str):
            if key in one and key in other:
                yield from differences(one[key], other[key], f"{path}.{key}".lstrip("."))
            else:
                yield f"{path}.{key}".lstrip("."), float("inf")
    elif isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        for index, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from differences(left, right, f"{path}.{index}".lstrip("."))
    elif one != other:
        yield path, float("inf")


def described(found: Iterable[tuple[str, float]]) -> str:
    """Return a line on the differences: how many, and the largest; ``bit for bit`` if there are none."""
    listed = list(found)
    if not listed:
        return "bit for bit"
    path, size = max(listed, key=lambda one: one[1])
    return f"{len(listed)} differ, the most {path} by {size:.3g}"
