"""The feature-map regularization term: lambda times the sum over taps of a measure of their maps.

Shapes: B batch; ``...`` any shape; n features of one image's map.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from typing_extensions import override

from results.record_types import ProgressTap
from search_space.feature_map import FeatureMap, Listener, listening, taps
from trials.config import FeatureMapsConfig
from trials.device.parallel import Mesh
from trials.feature_maps.tap_patterns import matching_taps


def l1(x: Tensor) -> Tensor:
    """Return the mean absolute value of ``x`` [...], a scalar."""
    return x.abs().mean()


def hoyer(x: Tensor) -> Tensor:
    """Return the Hoyer-square measure (sum|x|)^2 / (n sum x^2) of each image's map, averaged over the batch; a scalar.

    ``x`` is [B, ...]. The measure of one image lies between 1/n and 1; a map of zeros counts as 0. The measure is that
    of Yang et al., DeepHoyer, ICLR 2020, applied to the activations of each image as by Kurtz et al., ICML 2020.

    It is homogeneous of degree 0, so over a whole batch it would depend on which images share the batch. Averaged over
    images, two ranks with half a batch each have the same mean as one rank.
    """
    of_image = tuple(range(1, x.dim()))
    square = x.square().sum(of_image) + torch.finfo(x.dtype).tiny
    return (x.abs().sum(of_image).square() / square).mean() / x[0].numel()


MEASURES: dict[str, Callable[[Tensor], Tensor]] = {"l1": l1, "hoyer": hoyer}
"""The plain formulas; :class:`Regularizer` computes them with hand-written gradients."""


class Regularizer:
    """Collects the term over the taps of a network during its forward pass.

    Args:
        network: the network with the taps. If the patterns match none of them, the term is 0.
        measure: ``l1`` or ``hoyer``.
        patterns: the taps that take part (:func:`trials.feature_maps.tap_patterns.matching_taps`).
        linear_inputs: whether the inputs of linear layers can.
    """

    def __init__(
        self, network: nn.Module, measure: str, patterns: Sequence[str], *, linear_inputs: bool = True
    ) -> None:
        self.network, self._measure = network, _FUSED[measure]
        self.names = matching_taps(taps(network), patterns, measure, linear_inputs=linear_inputs)
        self._terms: list[Tensor] = []
        self._is_open = True

    @classmethod
    def of(cls, network: nn.Module, config: FeatureMapsConfig) -> Regularizer:
        """Return the regularizer of ``network`` that ``config`` describes."""
        return cls(network, config.measure, config.taps, linear_inputs=config.linear_inputs)

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Collect the measures of all taps in forward passes within the ``with`` block."""
        named = taps(self.network)
        listeners = {name: partial(self._collect, named[name].rectified) for name in self.names}
        with listening(self.network, listeners):
            yield

    def forget(self) -> None:
        """Discard the measures of earlier passes and start a new collection."""
        self._terms.clear()
        self._is_open = True

    def term(self) -> Tensor:
        """Return the sum over the taps since :meth:`forget`, a scalar without lambda, and close the collection.

        Maps that are recomputed in the backward pass are measured again, as the recomputation must repeat the first
        pass, but not collected: references to them would keep all recomputed maps in memory.
        """
        self._is_open = False
        return torch.stack(self._terms).sum() if self._terms else self._zero()

    def _zero(self) -> Tensor:
        return next(self.network.parameters()).new_zeros(())

    def _collect(self, rectified: bool, x: Tensor) -> Tensor:
        x, measured = self._measure.apply(x, rectified)
        if self._is_open:
            self._terms.append(measured)
        return x


class _Context(FunctionCtx):
    saved_tensors: tuple[Tensor, ...]
    rectified: bool
    elements: int


class _WithL1(torch.autograd.Function):
    """Returns the map and its mean absolute value over all N elements; d mean|x| / dx = sign(x) / N.

    After a ReLU |x| = x, and the gradient is taken as 1 / N everywhere: where x is zero, the ReLU blocks it.
    """

    @staticmethod
    @override
    def forward(ctx: _Context, x: Tensor, rectified: bool) -> tuple[Tensor, Tensor]:
        ctx.rectified, ctx.elements = rectified, x.numel()
        if not rectified:
            ctx.save_for_backward(x)
        magnitudes = x if rectified else x.abs()
        return x.view_as(x), magnitudes.sum() / x.numel()

    @staticmethod
    @override
    def backward(ctx: _Context, gradient: Tensor, of_mean: Tensor) -> tuple[Tensor, None]:
        of_element = of_mean / ctx.elements
        if ctx.rectified:
            return gradient + of_element, None
        sign = ctx.saved_tensors[0].sgn()
        if of_element.is_cuda:  # `item` would wait for the GPU
            return torch.addcmul(gradient, sign, of_element), None
        return torch.add(gradient, sign, alpha=of_element.item()), None


class _WithHoyer(torch.autograd.Function):
    """Returns the map and its Hoyer-square measure, averaged over the B images.

    With S = sum|x| and Q = sum x^2 of one image's map,

    d measure / dx = 2 (S / Q sign(x) - (S / Q)^2 x) / (n B).

    After a ReLU |x| = x, as in :class:`_WithL1`.
    """

    @staticmethod
    @override
    def forward(ctx: _Context, x: Tensor, rectified: bool) -> tuple[Tensor, Tensor]:
        rows = _image_rows(x)
        magnitude = rows.sum(1) if rectified else torch.linalg.vector_norm(rows, 1, dim=1)
        square = (rows[:, None] @ rows[:, :, None])[:, 0, 0] + torch.finfo(x.dtype).tiny
        ctx.rectified, ctx.elements = rectified, x.numel()
        ctx.save_for_backward(x, magnitude / square)
        return x.view_as(x), (magnitude.square() / square).sum() / x.numel()

    @staticmethod
    @override
    def backward(ctx: _Context, gradient: Tensor, of_mean: Tensor) -> tuple[Tensor, None]:
        x, ratio = ctx.saved_tensors
        ratio = ratio.view(-1, *[1] * (x.dim() - 1))
        scale = 2 * of_mean / ctx.elements
        gradient = torch.addcmul(gradient, x, -scale * ratio.square())
        return gradient.add_(scale * ratio) if ctx.rectified else gradient.addcmul_(
            x.sgn(), scale * ratio
        ), None


_FUSED: dict[str, type[torch.autograd.Function]] = {"l1": _WithL1, "hoyer": _WithHoyer}


def _image_rows(x: Tensor) -> Tensor:
    """View the maps [B, ...] as rows [B, n], in memory order where that avoids a copy."""
    return (x.permute(0, 2, 3, 1) if x.dim() == 4 and not x.is_contiguous() else x).flatten(1)


def tap_sums(x: Tensor) -> Tensor:
    """Return zeros, sum of magnitudes and elements of a map ``x`` [...]: float64 [3]; the counts are exact."""
    magnitude = x.abs().sum().double()  # torch sums float32 pairwise
    elements = magnitude.new_full((), x.numel())
    return torch.stack([elements - torch.count_nonzero(x), magnitude, elements])


class TapStatistics:
    """Sparsity and mean magnitude of every tap, over all passes with its :meth:`listeners` attached."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self._sums: dict[str, Tensor] = {}

    def listeners(self) -> dict[str, Listener]:
        """Return a listener for every tap of the network."""
        return {name: partial(self._accumulate, name, tap) for name, tap in taps(self.network).items()}

    @torch.no_grad()
    def _accumulate(self, name: str, tap: FeatureMap, x: Tensor) -> Tensor:
        sums = tap_sums(tap.features(x))
        self._sums[name] = self._sums[name] + sums if name in self._sums else sums
        return x

    def rows(self, mesh: Mesh) -> list[ProgressTap]:
        """Return a row per tap, over all ranks: ``tap``, ``sparsity`` (fraction of zeros), ``mean_magnitude``."""
        rows: list[ProgressTap] = []
        totals = mesh.sum(torch.stack(list(self._sums.values()))).tolist()
        for name, (zeros, magnitude, elements) in zip(self._sums, totals, strict=True):
            rows.append({"tap": name, "sparsity": zeros / elements, "mean_magnitude": magnitude / elements})
        return rows
