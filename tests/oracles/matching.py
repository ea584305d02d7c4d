"""Which tensor of a plain supernet is which part of which tensor of the fast one.

The fast supernet stacks what the plain one holds a module each; nothing here knows how either computes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from search_space import Supernet
from search_space.attention import MLP, SelfAttention
from search_space.primitives import ConvBlock
from search_space.primitives import FactorizedReduce as FastReduce
from search_space.supernet.mixed import MixedNode
from search_space.supernet.projection import ProjectNorm
from search_space.supernet.supernet import SuperCell
from tests.oracles.plain_attention import PlainDepthwise, PlainMLP, PlainSelfAttention
from tests.oracles.plain_darts import FactorizedReduce, MixedOp, PlainCell, PlainSupernet


@dataclass
class Match:
    """``part(fast)`` has the shape of ``plain`` and stands for the same numbers."""

    name: str
    fast: Tensor
    plain: Tensor
    part: Callable[[Tensor], Tensor]


def matches(fast: Supernet, plain: PlainSupernet) -> Iterator[Match]:
    """Yield all parameters and running statistics of both, in pairs."""
    yield _whole("stem", fast.stem[0].weight, plain.stem[0].weight)
    yield from _norms("stem", fast.stem[1], plain.stem[1])
    yield _whole("classifier", fast.classifier.linear.weight, plain.classifier.weight)
    yield _whole("classifier bias", fast.classifier.linear.bias, plain.classifier.bias)
    for kind in fast.alphas:
        yield _whole(f"alpha {kind}", fast.alphas[kind], plain.alphas[kind])
    for kind in fast.betas:
        yield _whole(f"beta {kind}", fast.betas[kind], plain.betas[kind])
    for index, cell in enumerate(plain.cells):
        yield from _cell(f"cell{index}", fast.cell(index), cell)


def copy_to_plain(fast: Supernet, plain: PlainSupernet) -> None:
    """Give ``plain`` the numbers of ``fast``."""
    for match in matches(fast, plain):
        match.plain.data.copy_(match.part(match.fast.data))


def _whole(name: str, fast: Tensor, plain: Tensor) -> Match:
    return Match(name, fast, plain, lambda t: t.reshape(plain.shape))


def _norms(name: str, fast: nn.Module, plain: nn.Module, term: int | None = None) -> Iterator[Match]:
    for statistic in ("running_mean", "running_var"):
        part: Callable[[Tensor], Tensor] = (lambda t: t) if term is None else (lambda t: t[term])
        yield Match(f"{name} {statistic}", getattr(fast, statistic), getattr(plain, statistic), part)
    if getattr(plain, "weight", None) is not None:
        yield _whole(f"{name} scale", fast.weight, plain.weight)
        yield _whole(f"{name} shift", fast.bias, plain.bias)


def _cell(name: str, fast: SuperCell, plain: PlainCell) -> Iterator[Match]:
    yield from _module(f"{name} input 0", fast.preprocess0, plain.preprocess0)
    yield from _module(f"{name} input 1", fast.preprocess1, plain.preprocess1)
    edge = 0
    for index, node in enumerate(fast.mixed_nodes()):
        for source in range(index + 2):
            yield from _edge(f"{name} edge {edge}", fast, node, source, plain.edges[edge])
            edge += 1


def _edge(name: str, cell: SuperCell, node: MixedNode, source: int, plain: MixedOp) -> Iterator[Match]:
    edges = len(node.strides)
    for primitive, op in plain.ops.items():
        label = f"{name} {primitive}"
        own = f"{primitive}_{source}"
        if primitive in node.separable:
            term = node.separable.index(primitive) * edges + source
            yield _kernels(label, node, primitive, source, op[1])
            yield from _projection(f"{label} middle", node.middle, term, op[2], op[3])
            yield _kernels(label, node, f"{primitive}_second", source, op[5])
            yield from _projection(f"{label} last", node.last, term, op[6], op[7])
        elif primitive in node.dilated:
            term = (len(node.separable) + node.dilated.index(primitive)) * edges + source
            yield _kernels(label, node, primitive, source, op[1])
            yield from _projection(label, node.last, term, op[2], op[3])
        elif primitive.endswith("pool_3x3"):
            yield from _norms(label, cell.sources[source].pools[primitive].norm, op[1])
        elif own in node.modules_on_edges:
            yield from _module(label, node.modules_on_edges[own], op)


def _kernels(name: str, node: MixedNode, kernels: str, source: int, plain: nn.Conv2d) -> Match:
    rows = slice(source * node.channels, (source + 1) * node.channels)
    return Match(f"{name} {kernels}", node.depthwise[kernels], plain.weight, lambda t: t[rows])


def _projection(name: str, fast: ProjectNorm, term: int, conv: nn.Conv2d, norm: nn.Module) -> Iterator[Match]:
    yield Match(name, fast.weight, conv.weight, lambda t: t[term][:, :, None, None])
    yield from _norms(name, fast, norm, term)


def _module(name: str, fast: nn.Module, plain: nn.Module) -> Iterator[Match]:
    if isinstance(fast, FastReduce):
        assert isinstance(plain, FactorizedReduce)
        yield _whole(f"{name} even", fast.even.weight, plain.conv1.weight)
        yield _whole(f"{name} odd", fast.odd.weight, plain.conv2.weight)
        yield from _norms(name, fast.bn, plain.bn)
    elif isinstance(fast, SelfAttention):
        assert isinstance(plain, PlainSelfAttention)
        targets = (plain.to_query, plain.to_key, plain.to_value)
        for third, linear in enumerate(targets):
            yield Match(
                f"{name} {third}",
                fast.in_projection.weight,
                linear.weight,
                lambda t, third=third: t.chunk(3)[third],
            )
        yield _whole(f"{name} position", fast.position.table, plain.position)
        yield _whole(f"{name} projection", fast.out_projection.weight, plain.projection.weight)
        yield from _norms(name, fast.bn, plain.bn)
    elif isinstance(fast, MLP):
        assert isinstance(plain, PlainMLP)
        yield _whole(f"{name} up", fast.up.weight, plain.up.weight)
        yield _whole(f"{name} up bias", fast.up.bias, plain.up.bias)
        yield _whole(f"{name} down", fast.down.weight, plain.down.weight)
        yield from _norms(name, fast.bn, plain.bn)
    else:
        assert isinstance(fast, ConvBlock)
        conv, norm = (plain.conv, plain.bn) if isinstance(plain, PlainDepthwise) else (plain[1], plain[2])
        yield _whole(name, fast.conv.weight, conv.weight)
        yield from _norms(name, fast.bn, norm)


def shuffle_parameters(network: nn.Module) -> None:
    """Make every parameter that starts as zeros or ones, and every alpha, a number that matters."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.startswith(("alphas", "betas")):
                parameter.normal_()
            elif "position" in name or float(parameter.std()) == 0:
                parameter.add_(0.3 * torch.randn_like(parameter))
