"""Expected macs of the supernet's architecture, differentiable in the alphas.

Every edge takes one primitive, with the probabilities of its softmax. Macs add up over edges, so the expectation is

    fixed + sum over kinds of cell, edges e and primitives p of  weight[e, p] x macs[e, p],

with macs[e, p] summed over all cells of that kind. ``fixed`` is independent of the alphas: stem, preprocessing and
classifier. With edge weights beta (PC-DARTS), each of the two edges that a node keeps is drawn with probability beta,
and then its primitive. Primitives count at the full width of a node, even with partial channels, because that is their
width in the derived network.

E edges, P primitives.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor, nn

from search_space import Supernet
from search_space.genotype import EDGES_PER_NODE
from search_space.primitives import primitive
from trials.cost.cost import count_layers


class ExpectedMacs:
    """Callable that returns the expected macs of one image: a float64 scalar, differentiable in the alphas.

    Args:
        supernet: the supernet.
        input_shape: [C, H, W] of an image.
    """

    def __init__(self, supernet: Supernet, input_shape: tuple[int, int, int]) -> None:
        self.supernet = supernet
        self.fixed, self.tables = mac_tables(supernet, input_shape)

    def __call__(self) -> Tensor:
        """Return the expected macs for the current alphas."""
        total: Tensor | float = 0.0
        for kind, table in self.tables.items():
            weights = self.supernet.edge_weights(kind)
            if kind in self.supernet.betas:
                weights = EDGES_PER_NODE * weights
            if table.device != weights.device:  # once: a step copies nothing from the host
                table = self.tables[kind] = table.to(weights.device)
            total = total + (weights.double() * table).sum()
        return torch.as_tensor(total + self.fixed)


def mac_tables(supernet: Supernet, input_shape: tuple[int, int, int]) -> tuple[int, dict[str, Tensor]]:
    """Return the fixed macs, and macs[e, p] summed over all cells of a kind: {kind: float64 [E, P]}."""
    names = supernet.space.primitives
    tables = {kind: torch.zeros(alpha.shape, dtype=torch.float64) for kind, alpha in supernet.alphas.items()}
    image = torch.empty(1, *input_shape, device="meta")
    fixed, x = count_layers(supernet.stem, image)
    before = previous = x
    if supernet.second_stem is not None:
        second, previous = count_layers(supernet.second_stem, x)
        fixed += second
    for index, kind in enumerate(supernet.kinds):
        cell = supernet.cell(index)
        macs0, state0 = count_layers(cell.preprocess0, before)
        macs1, state1 = count_layers(cell.preprocess1, previous)
        fixed += macs0 + macs1
        edge, node_map = 0, state1
        states = [state0, state1]
        for mixed in cell.mixed_nodes():
            for source, stride in enumerate(mixed.strides):
                for column, name in enumerate(names):
                    macs, out = _primitive_macs(name, states[source], stride)
                    tables[kind][edge, column] += macs
                    node_map = node_map if out is None else out
                edge += 1
            states.append(node_map)
        before, previous = previous, cell.output(states[2:])
    macs, _ = count_layers(supernet.classifier, previous)
    return fixed + macs, tables


def _primitive_macs(name: str, x: Tensor, stride: int) -> tuple[int, Tensor | None]:
    """Return the macs of a primitive on ``x`` and its output, on the meta device; None for ``none``."""
    if name == "none":
        return 0, None
    macs, shape = _count_primitive(name, tuple(x.shape), stride)
    return macs, torch.empty(shape, device="meta")


@lru_cache(maxsize=1024)
def _count_primitive(name: str, shape: tuple[int, ...], stride: int) -> tuple[int, tuple[int, ...]]:
    """Return the macs of a primitive on a map of ``shape``, and its output's shape. Cached: many edges are alike."""
    with torch.device("meta"):
        module: nn.Module = primitive(name, shape[1], stride)
        x = torch.empty(shape)
    macs, out = count_layers(module, x)
    return macs, tuple(out.shape)
