"""The cost model: parameters, multiply-adds and live feature maps of a network, exactly, from shapes alone.

macs are the multiply-adds of convolutions, linear layers and attention products, which the NAS literature calls FLOPs
(DARTS_V2 has 528,359,040). Batch norms, pools, averages and additions are not counted. Multiply-adds with padding are
counted, as in that literature; ``effective_macs`` (``trials.cost.effective``) excludes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache, cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from search_space.attention import AttentionProduct
from trials.cost.liveness import LiveSet, live_sets
from trials.feature_maps.deployed import fold

FLOAT_BYTES = 4


@dataclass(frozen=True)
class LayerCost:
    """Cost of one convolution, linear layer or attention product.

    Attributes:
        name: dotted module name.
        macs: multiply-adds of one image.
        params: number of parameters.
    """

    name: str
    macs: int
    params: int


@dataclass(frozen=True)
class Cost:
    """Cost of the inference of one image.

    Attributes:
        params: number of parameters of the network.
        layers: all convolutions, linear layers and attention products, in execution order.
        trace: returns the live sets, of fused or explicit attention; called when they are first asked for.
    """

    params: int
    layers: tuple[LayerCost, ...]
    trace: Callable[[bool], tuple[LiveSet, ...]] = field(repr=False, compare=False)

    @cached_property
    def live_sets(self) -> tuple[LiveSet, ...]:
        """The sets of maps that are alive at the same time; those that can be the largest."""
        return self.trace(False)

    @cached_property
    def fused_live_sets(self) -> tuple[LiveSet, ...]:
        """The same if attention is one kernel, which never holds the T x T probabilities."""
        return self.trace(True)

    @cached_property
    def macs(self) -> int:
        """Multiply-adds of one image."""
        return sum(layer.macs for layer in self.layers)

    @property
    def flops(self) -> int:
        """Floating-point operations of one image: 2 x macs."""
        return 2 * self.macs

    @property
    def weight_bytes(self) -> int:
        """Size of the parameters in float32, in bytes."""
        return FLOAT_BYTES * self.params

    @property
    def peak_bytes(self) -> float:
        """Size of the weights and the largest live set of maps in float32, in bytes."""
        return self.weight_bytes + self.peak_map_bytes({})

    def peak_map_bytes(self, stored: Mapping[str, float], *, fused: bool = False) -> float:
        """Return the size of the largest live set in bytes, if the map of tap ``name`` takes ``stored[name]`` bytes.

        Maps that are not in ``stored`` count at their float32 size. ``fused``: attention is one kernel.
        """
        return max(live.bytes(stored) for live in (self.fused_live_sets if fused else self.live_sets))

    def peak_map_bytes_by_image(
        self, stored: Mapping[str, NDArray[np.float64]], *, fused: bool = False
    ) -> NDArray[np.float64]:
        """Return :meth:`peak_map_bytes` of each image, [images], if its map of tap ``name`` takes ``stored[name]``."""
        live_sets = self.fused_live_sets if fused else self.live_sets
        taps = list(stored)
        sizes = np.stack([stored[name] for name in taps])  # [taps, images]
        held = np.array([[name in live.taps for name in taps] for live in live_sets], dtype=np.float64)
        others = [live.bytes(dict.fromkeys(taps, 0.0)) for live in live_sets]
        return np.asarray((held @ sizes + np.array(others)[:, None]).max(0))


def count_cost(network: nn.Module, input_shape: tuple[int, ...]) -> Cost:
    """Return the cost of ``network`` for one image of ``input_shape`` [C, H, W].

    A copy of the network is traced in evaluation mode on the meta device: nothing is computed, and ``network`` is not
    modified. The live sets are those of the deployed form, with batch norms folded.
    """
    meta_network = meta_copy(network)
    image = torch.empty(1, *input_shape, device="meta")
    layers: list[LayerCost] = []
    with torch.no_grad(), _counting(meta_network, layers):
        meta_network(image)
    params = sum(parameter.numel() for parameter in network.parameters())

    @cache
    def deployed() -> nn.Module:
        fold(meta_network)
        return meta_network

    def trace(fused: bool) -> tuple[LiveSet, ...]:
        return live_sets(deployed(), image, fused=fused)

    return Cost(params, tuple(layers), trace)


def count_layers(module: nn.Module, x: Tensor) -> tuple[int, Tensor]:
    """Return the macs of ``module`` on the meta tensor ``x``, and its output, also a meta tensor."""
    meta_module = meta_copy(module)
    layers: list[LayerCost] = []
    with torch.no_grad(), _counting(meta_module, layers):
        out = meta_module(x)
    return sum(layer.macs for layer in layers), out


def meta_copy(module: nn.Module) -> nn.Module:
    """Return a copy of ``module`` on the meta device, in evaluation mode: it computes shapes alone."""
    return deepcopy(module).to(device="meta", dtype=torch.float32).eval()


def layer_macs(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> int | None:
    """Return the macs of one forward pass of ``module``; None if it is of another kind.

    Convolution: output elements x (C_in / groups) k_h k_w. Linear layer: output elements x input features. Attention:
    T_q T_k D for Q K^T and the same for the product with V, for every head and window.
    """
    if isinstance(module, nn.Conv2d):
        height, width = module.kernel_size
        return output.numel() * (module.in_channels // module.groups) * height * width
    if isinstance(module, nn.Linear):
        return output.numel() * module.in_features
    if isinstance(module, AttentionProduct):
        query, key = inputs[0], inputs[1]
        return 2 * query.numel() * key.shape[-2]
    return None


@contextmanager
def _counting(network: nn.Module, layers: list[LayerCost]) -> Iterator[None]:
    """Append the cost of every layer that is executed within the ``with`` block to ``layers``."""

    def hook(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            macs = layer_macs(module, inputs, output)
            assert macs is not None
            params = sum(parameter.numel() for parameter in module.parameters(recurse=False))
            layers.append(LayerCost(name, macs, params))

        return count

    kinds = (nn.Conv2d, nn.Linear, AttentionProduct)
    handles = [
        m.register_forward_hook(hook(name)) for name, m in network.named_modules() if isinstance(m, kinds)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
