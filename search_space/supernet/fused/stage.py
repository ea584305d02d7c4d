"""All fused primitives on all edges that leave one source, as one differentiable operation.

Forward, every step is one kernel launch:

1. all depthwise convolutions that read the source, with the moments of their outputs; the pools, with theirs;
2. moments to matrices and biases of the middle 1x1 convolutions; the maps y = relu(A z + b);
3. the second depthwise convolutions, with moments;
4. moments to matrices and biases of the last 1x1 convolutions and of the pools; the sum of all terms of every node that
   reads the source, on top of what earlier sources added.

The backward pass goes the same way back. It needs the gradients of the nodes that read the source and nothing else,
because the gradient of a sum is that of each of its terms. Stored are every z and y, the pooled maps and the taps of
the maxima.

Variances are E[z z^T] - mean mean^T, as in ``search_space.supernet.projection``, and nothing shifts the maps here: in
float32 they lose digits where a mean is many deviations from zero, 6e-5 at 30 deviations and 7% at 1,000.

Shapes: B batch, C channels, H height, W width; n positions of a node, E edges, P primitives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from typing_extensions import override

from search_space.supernet.fused.gradients import NodeGradients
from search_space.supernet.fused.passes import Saved, backward_pass, forward_pass
from search_space.supernet.fused.plan import Geometry, SourcePlan


@dataclass
class Stage:
    """A stage, and what it shares with the other stages of its cell.

    Attributes:
        plan: its terms.
        completes: whether the first of the nodes that read the source reads no later one.
        gradients: of all nodes of the cell.
        statistics: written by the forward pass: batch statistics of the middle and last 1x1 convolutions and of the
            pools (:class:`Saved`).
    """

    plan: SourcePlan
    completes: bool
    gradients: NodeGradients
    statistics: tuple[Tensor | None, Tensor, Tensor | None] | None = None

    def __call__(
        self, x: Tensor, source: Tensor | None, base: Tensor | None, weights: Tensor, gamma: Tensor
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Return the first node's map twice, if the stage completes it, and the sums so far of the others [E', n, C].

        The two maps are equal; each is for one reader, so that their gradients are added in the place where the
        backward pass needs them.

        Args:
            x: the source's map, [B, C, H, W].
            source: what the convolutions read, if not relu(x).
            base: the sums of earlier sources, [E, n, C].
            weights: packed parameters (:attr:`SourcePlan.sections`).
            gamma: weights of the primitives, [E, P].
        """
        outputs: tuple[Tensor | None, Tensor | None, Tensor | None] = _Stage.apply(
            self, x, source, base, weights, gamma
        )
        return outputs


class _Stage(torch.autograd.Function):
    @staticmethod
    @override
    def forward(
        ctx: Any, stage: Stage, x: Tensor, source: Tensor | None, base: Tensor | None, weights: Tensor,
        gamma: Tensor,
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:  # fmt: skip
        geometry = Geometry.of(x, stage.plan.stride)
        rows = None if source is None else _rows(source)
        out, saved = forward_pass(stage.plan, geometry, _rows(x), rows, base, weights, gamma)
        stage.statistics = saved.middle, saved.last, saved.pools
        ctx.stage, ctx.geometry, ctx.batch = stage, geometry, x.shape[0]
        ctx.save_for_backward(*saved)
        ctx.set_materialize_grads(False)
        if not stage.completes:
            return None, None, out
        node = _map(out[0], geometry, x.shape[0])
        return node, _map(out[0], geometry, x.shape[0]), out[1:] if len(out) > 1 else None

    @staticmethod
    @override
    @once_differentiable
    def backward(
        ctx: Any, node: Tensor | None, again: Tensor | None, rest: Tensor | None
    ) -> tuple[None, Tensor | None, Tensor | None, Tensor | None, Tensor | None, Tensor]:
        stage, geometry, saved = ctx.stage, ctx.geometry, Saved(*ctx.saved_tensors)
        _, x_needed, source_needed, base_needed, weights_needed, _ = ctx.needs_input_grad
        g = stage.gradients.of_last(
            stage.plan.edges,
            [node, again] if stage.completes else None,
            rest,
            (ctx.batch, saved.x.shape[1], geometry.out_height, geometry.out_width),
            saved.x,
        )
        d = backward_pass(stage.plan, geometry, saved, g, x_needed or source_needed, weights_needed)
        d_x = None if d.x is None else _map(d.x, Geometry(0, 0, *geometry[:2]), ctx.batch)
        d_source = None if d.source is None else _map(d.source, Geometry(0, 0, *geometry[:2]), ctx.batch)
        return None, d_x, d_source, g if base_needed else None, d.weights, d.gamma


def _rows(x: Tensor) -> Tensor:
    """Return a map [B, C, H, W] as rows [B H W, C]; a view, if the map is in channels-last layout."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _map(rows: Tensor, geometry: Geometry, batch: int) -> Tensor:
    """View rows [n, C] as a map [B, C, H', W']."""
    return rows.view(batch, geometry.out_height, geometry.out_width, -1).permute(0, 3, 1, 2)
