"""Parameters in the order in which kernels read them, and their gradients back in the order of the parameters.

One concatenation packs all parameters of a cell, source by source, and one unpacks all gradients: a kernel gets one
tensor, and every parameter still has a gradient of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from typing_extensions import override


class Piece(NamedTuple):
    """A run of elements of a flattened parameter."""

    parameter: int
    first: int
    length: int


def pack(parameters: Sequence[Tensor], pieces: Sequence[Sequence[Piece]]) -> tuple[Tensor, ...]:
    """Return one flat tensor for each list of ``pieces``. The pieces of all lists cover every parameter once."""
    tensors: tuple[Tensor, ...] = _Pack.apply(pieces, *parameters)
    return tensors


class _Pack(torch.autograd.Function):
    @staticmethod
    @override
    def forward(ctx: Any, pieces: Sequence[Sequence[Piece]], *parameters: Tensor) -> tuple[Tensor, ...]:
        ctx.pieces, ctx.shapes = pieces, [parameter.shape for parameter in parameters]
        ctx.set_materialize_grads(False)
        ctx.like = parameters[0].new_empty(0)
        lengths: list[list[int]] = [[] for _ in parameters]
        for piece in sorted(piece for part in pieces for piece in part):
            lengths[piece.parameter].append(piece.length)
        views = {
            (number, first): view
            for number, parameter in enumerate(parameters)
            for first, view in zip(
                accumulate(lengths[number], initial=0),
                parameter.reshape(-1).split(lengths[number]),
                strict=False,
            )
        }
        packed = torch.cat([views[piece.parameter, piece.first] for part in pieces for piece in part])
        return packed.split([sum(piece.length for piece in part) for part in pieces])

    @staticmethod
    @override
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        found: list[tuple[Piece, Tensor]] = []
        for part, gradient in zip(ctx.pieces, gradients, strict=True):
            lengths = [piece.length for piece in part]
            whole = ctx.like.new_zeros(sum(lengths)) if gradient is None else gradient
            found += zip(part, whole.split(lengths), strict=True)
        found.sort(key=lambda pair: pair[0])
        flat = torch.cat([gradient for _, gradient in found])
        parts = flat.split([shape.numel() for shape in ctx.shapes])
        return None, *(part.view(shape) for part, shape in zip(parts, ctx.shapes, strict=True))
