"""The cost model: what a network costs to store and to run, exactly, from shapes alone.

macs are multiply-adds of convolutions, linear layers and attention products, as the NAS literature counts FLOPs
(DARTS_V2 has 528,359,040); batch norms, pools, averages and additions count as nothing. Padded positions count, as
everywhere in that literature; ``effective_macs`` (``trials.cost.effective``) leaves them out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from search_space.attention import AttentionProduct
from trials.cost.liveness import LiveSet, live_sets
from trials.feature_maps.deployed import fold

FLOAT_BYTES = 4


@dataclass(frozen=True)
class LayerCost:
    """One layer that multiplies: its dotted name, its macs for one image, its parameters."""

    name: str
    macs: int
    params: int


@dataclass(frozen=True)
class Cost:
    """What one inference of one image costs.

    Attributes:
        params: parameters of the network.
        layers: the layers that multiply, in the order they are passed.
        live_sets: the sets of maps that are alive together, all that can be the largest.
    """

    params: int
    layers: tuple[LayerCost, ...]
    live_sets: tuple[LiveSet, ...]

    @cached_property
    def macs(self) -> int:
        """Multiply-adds of one image."""
        return sum(layer.macs for layer in self.layers)

    @property
    def flops(self) -> int:
        """2 x macs."""
        return 2 * self.macs

    @property
    def weight_bytes(self) -> int:
        """Bytes of the parameters in float32."""
        return FLOAT_BYTES * self.params

    @property
    def peak_bytes(self) -> float:
        """Bytes of the weights and of the largest set of live maps, everything in float32."""
        return self.weight_bytes + self.peak_map_bytes({})

    def peak_map_bytes(self, stored: Mapping[str, float]) -> float:
        """Return the bytes of the largest set of live maps, where tap ``name`` takes ``stored[name]`` bytes."""
        return max(live.bytes(stored) for live in self.live_sets)


def count_cost(network: nn.Module, input_shape: tuple[int, ...]) -> Cost:
    """Count what ``network`` costs for one image of ``input_shape`` [C, H, W].

    The network is traced in evaluation mode on the meta device: nothing is computed, and the network itself stays
    as it is. Live maps are those of the network with its batch norms folded, the form that is deployed.
    """
    twin = _twin(network)
    image = torch.empty(1, *input_shape, device="meta")
    layers: list[LayerCost] = []
    with torch.no_grad(), _counting(twin, layers):
        twin(image)
    params = sum(parameter.numel() for parameter in network.parameters())
    fold(twin)
    return Cost(params, tuple(layers), live_sets(twin, image))


def count_layers(module: nn.Module, x: Tensor) -> tuple[int, Tensor]:
    """Return the macs of ``module`` on the meta tensor ``x``, and its output (meta)."""
    twin = _twin(module)
    layers: list[LayerCost] = []
    with torch.no_grad(), _counting(twin, layers):
        out = twin(x)
    return sum(layer.macs for layer in layers), out


def _twin(module: nn.Module) -> nn.Module:
    return deepcopy(module).to(device="meta", dtype=torch.float32).eval()


def layer_macs(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> int | None:
    """Return the macs of one pass through ``module``; None for a module that multiplies nothing.

    Convolution: output elements x (C_in / groups) k_h k_w. Linear: output elements x features in. Attention:
    T_q T_k D for Q K^T and as much for the product with V, over heads and windows.
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
    def hook(name: str) -> Callable[[nn.Module, tuple[Any, ...], Tensor], None]:
        def count(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
            macs = layer_macs(module, inputs, output)
            assert macs is not None
            own = sum(parameter.numel() for parameter in module.parameters(recurse=False))
            layers.append(LayerCost(name, macs, own))

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
