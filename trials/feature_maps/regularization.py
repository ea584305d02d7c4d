"""The feature-map regularization term: lambda times the sum over taps of a measure of their magnitude."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from search_space.feature_map import Listener, listening, taps
from trials.device.parallel import Mesh
from trials.feature_maps.tap_patterns import matching_taps


def l1(x: Tensor) -> Tensor:
    """Return the mean absolute value of ``x``."""
    return x.abs().mean()


def hoyer(x: Tensor) -> Tensor:
    """Return the Hoyer-square measure of every image's map, (sum|x|)^2 / sum x^2 divided by the elements: its mean.

    ``x`` is [B, ...]. The measure of one image lies between 1/n and 1, n being the elements of its map; a map that is
    zero throughout counts as 0. Yang et al., DeepHoyer, ICLR 2020, as Kurtz et al., ICML 2020, apply it to activations:
    image by image. It is homogeneous of degree 0, so over a whole batch it would depend on which images share the
    batch; so taken, two ranks with half a batch each have the mean that one rank has.
    """
    each = tuple(range(1, x.dim()))
    square = x.square().sum(each) + torch.finfo(x.dtype).tiny
    return (x.abs().sum(each).square() / square).mean() / x[0].numel()


MEASURES: dict[str, Callable[[Tensor], Tensor]] = {"l1": l1, "hoyer": hoyer}


class Regularizer:
    """Collects the term over the taps of one network while it computes.

    Args:
        network: where the taps are; it may have none that the patterns stand for: then the term is 0.
        measure: ``l1`` or ``hoyer``.
        patterns: which taps take part (:func:`trials.feature_maps.tap_patterns.matching_taps`).
    """

    def __init__(self, network: nn.Module, measure: str, patterns: Sequence[str]) -> None:
        self.network, self._measure = network, _FUSED[measure]
        self.names = matching_taps(taps(network), patterns, measure)
        self._terms: list[Tensor] = []
        self._open = True

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Collect the measure of every tap that is passed in the ``with`` block."""
        places = taps(self.network)
        listeners = {name: partial(self._collect, places[name].rectified) for name in self.names}
        with listening(self.network, listeners):
            yield

    def forget(self) -> None:
        """Start over: what was collected so far belongs to an earlier pass."""
        self._terms.clear()
        self._open = True

    def term(self) -> Tensor:
        """Return the sum over the taps since :meth:`forget` (scalar), without lambda; ends the collection.

        What passes the taps afterwards, in a recomputation, is measured (it must do what the first pass did) but not
        kept: it would keep all recomputed maps alive.
        """
        self._open = False
        return torch.stack(self._terms).sum() if self._terms else self._zero()

    def _zero(self) -> Tensor:
        return next(self.network.parameters()).new_zeros(())

    def _collect(self, rectified: bool, x: Tensor) -> Tensor:
        x, measured = self._measure.apply(x, rectified)
        if self._open:
            self._terms.append(measured)
        return x


class _WithL1(torch.autograd.Function):
    """The map and its l1: the map's gradient and the term's, sign(x) / n, are added as they meet.

    Behind a ReLU |x| is x, and its sign need not be asked for: where x is zero the ReLU stops the gradient anyway.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, rectified: bool) -> tuple[Tensor, Tensor]:
        ctx.rectified, ctx.elements = rectified, x.numel()
        if not rectified:
            ctx.save_for_backward(x)
        magnitudes = x if rectified else x.abs()
        return x.view_as(x), magnitudes.sum() / x.numel()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, of_mean: Tensor) -> Any:
        each = of_mean / ctx.elements
        if ctx.rectified:
            return gradient + each, None
        sign = ctx.saved_tensors[0].sgn()
        if each.is_cuda:  # asking for the number would wait for the GPU
            return torch.addcmul(gradient, sign, each), None
        return torch.add(gradient, sign, alpha=each.item()), None


class _WithHoyer(torch.autograd.Function):
    """The map and its Hoyer-square measure.

    With S = sum|x| and Q = sum x^2 of an image's map of n elements, and B images,

    d measure / dx = 2 (S / Q sign(x) - (S / Q)^2 x) / (n B).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, rectified: bool) -> tuple[Tensor, Tensor]:
        rows = _rows(x)
        first = rows.sum(1) if rectified else torch.linalg.vector_norm(rows, 1, dim=1)
        second = (rows[:, None] @ rows[:, :, None])[:, 0, 0] + torch.finfo(x.dtype).tiny
        ctx.rectified, ctx.elements = rectified, x.numel()
        ctx.save_for_backward(x, first / second)
        return x.view_as(x), (first.square() / second).sum() / x.numel()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, of_mean: Tensor) -> Any:
        x, ratio = ctx.saved_tensors
        ratio = ratio.view(-1, *[1] * (x.dim() - 1))
        scale = 2 * of_mean / ctx.elements
        gradient = torch.addcmul(gradient, x, -scale * ratio.square())
        return gradient.add_(scale * ratio) if ctx.rectified else gradient.addcmul_(
            x.sgn(), scale * ratio
        ), None


_FUSED: dict[str, Any] = {"l1": _WithL1, "hoyer": _WithHoyer}


def _rows(x: Tensor) -> Tensor:
    """View the map [B, ...] of every image as one row [B, n], in memory's order where that saves a copy."""
    return (x.permute(0, 2, 3, 1) if x.dim() == 4 and not x.is_contiguous() else x).flatten(1)


def tap_sums(x: Tensor) -> Tensor:
    """Return zeros, sum of magnitudes and elements of a map: [3] float64, exact however large the map."""
    magnitude = x.abs().sum().double()  # float32 is summed pairwise
    elements = magnitude.new_full((), x.numel())
    return torch.stack([elements - torch.count_nonzero(x), magnitude, elements])


class TapStatistics:
    """Sparsity and mean magnitude of every tap, over what its :meth:`listeners` hear."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self._sums: dict[str, Tensor] = {}

    def listeners(self) -> dict[str, Listener]:
        """Return a listener for every tap of the network."""
        return {name: partial(self._watch, name) for name in taps(self.network)}

    @torch.no_grad()
    def _watch(self, name: str, x: Tensor) -> Tensor:
        found = tap_sums(x)
        self._sums[name] = self._sums[name] + found if name in self._sums else found
        return x

    def rows(self, mesh: Mesh) -> list[dict[str, float | str]]:
        """Return one row a tap: ``tap``, ``sparsity`` (share of zeros), ``mean_magnitude``, over all ranks."""
        rows: list[dict[str, float | str]] = []
        totals = mesh.sum(torch.stack(list(self._sums.values()))).tolist()
        for name, (zeros, magnitude, elements) in zip(self._sums, totals, strict=True):
            rows.append({"tap": name, "sparsity": zeros / elements, "mean_magnitude": magnitude / elements})
        return rows
