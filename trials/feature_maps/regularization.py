"""The feature-map regularization term: lambda times the sum over taps of a measure of their maps.

Shapes: B batch; ``...`` any shape; n features of one image's map.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from results.record_types import ProgressTap
from search_space.feature_map import FeatureMap, Listener, listening, taps
from trials.config import FeatureMapsConfig
from trials.device.parallel import Mesh
from trials.feature_maps.measures import FUSED
from trials.feature_maps.tap_patterns import matching_taps


class Regularizer:
    """Collects the term over the taps of a network during its forward pass.

    Args:
        network: the network with the taps. If the patterns match none of them, the term is 0.
        measure: ``l1``, ``hoyer`` or ``tl1``.
        patterns: the taps that take part (:func:`trials.feature_maps.tap_patterns.matching_taps`).
        linear_inputs: whether the inputs of linear layers can.
        macs: macs that read the map of each tap: the weights of the taps, scaled to a sum of 1; None: all weigh 1.
    """

    def __init__(
        self, network: nn.Module, measure: str, patterns: Sequence[str], *, linear_inputs: bool = True,
        macs: Mapping[str, float] | None = None,
    ) -> None:  # fmt: skip
        self.network, self._measure = network, FUSED[measure]
        self.names = matching_taps(taps(network), patterns, measure, linear_inputs=linear_inputs)
        self.weights = dict.fromkeys(self.names, 1.0)
        if macs is not None:
            total = sum(macs.get(name, 0.0) for name in self.names)
            self.weights = {name: macs.get(name, 0.0) / total for name in self.names if total}
        self._terms: list[Tensor] = []
        self._is_open = True

    @classmethod
    def of(
        cls, network: nn.Module, config: FeatureMapsConfig, macs: Mapping[str, float] | None = None
    ) -> Regularizer:
        """Return the regularizer of ``network`` that ``config`` describes."""
        return cls(network, config.measure, config.taps, linear_inputs=config.linear_inputs, macs=macs)

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Collect the measures of all taps in forward passes within the ``with`` block."""
        named = taps(self.network)
        listeners = {
            name: partial(self._collect, named[name].rectified, weight)
            for name, weight in self.weights.items()
            if weight
        }
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

    def _collect(self, rectified: bool, weight: float, x: Tensor) -> Tensor:
        x, measured = self._measure.apply(x, rectified)
        if self._is_open:
            self._terms.append(measured if weight == 1 else weight * measured)
        return x


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
