"""Correspondence of the tensors of a reference supernet and the fast one.

The fast supernet stacks parameters for which the reference has separate modules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

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
    """A tensor of the reference and its counterpart: ``part(fast)`` has the shape and the values of ``plain``."""

    name: str
    fast: Tensor
    plain: Tensor
    part: Callable[[Tensor], Tensor]


def matches(fast: Supernet, plain: PlainSupernet) -> Iterator[Match]:
    """Yield the pairs of all parameters and running statistics."""
    yield _whole("stem", fast.stem.get_parameter("0.weight"), plain.stem.get_parameter("0.weight"))
    yield from _norms("stem", fast.stem.get_submodule("1"), plain.stem.get_submodule("1"))
    yield _whole("classifier", fast.classifier.linear.weight, plain.classifier.weight)
    yield _whole("classifier bias", fast.classifier.linear.bias, plain.classifier.bias)
    for kind in fast.alphas:
        yield _whole(f"alpha {kind}", fast.alphas[kind], plain.alphas[kind])
    for kind in fast.betas:
        yield _whole(f"beta {kind}", fast.betas[kind], plain.get_parameter(f"betas.{kind}"))
    for index, cell in enumerate(plain.cells):
        assert isinstance(cell, PlainCell)
        yield from _cell(f"cell{index}", fast.cell(index), cell)


def copy_to_plain(fast: Supernet, plain: PlainSupernet) -> None:
    """Copy all parameters and running statistics of ``fast`` to ``plain``."""
    for match in matches(fast, plain):
        match.plain.data.copy_(match.part(match.fast.data))


def _whole(name: str, fast: Tensor, plain: Tensor) -> Match:
    return Match(name, fast, plain, lambda t: t.reshape(plain.shape))


def _norms(name: str, fast: nn.Module, plain: nn.Module, term: int | None = None) -> Iterator[Match]:
    for statistic in ("running_mean", "running_var"):
        part: Callable[[Tensor], Tensor] = (lambda t: t) if term is None else (lambda t: t[term])
        yield Match(f"{name} {statistic}", fast.get_buffer(statistic), plain.get_buffer(statistic), part)
    if getattr(plain, "weight", None) is not None:
        yield _whole(f"{name} scale", fast.get_parameter("weight"), plain.get_parameter("weight"))
        yield _whole(f"{name} shift", fast.get_parameter("bias"), plain.get_parameter("bias"))


def _cell(name: str, fast: SuperCell, plain: PlainCell) -> Iterator[Match]:
    yield from module_matches(f"{name} input 0", fast.preprocess0, plain.preprocess0)
    yield from module_matches(f"{name} input 1", fast.preprocess1, plain.preprocess1)
    edge = 0
    for index, node in enumerate(fast.mixed_nodes()):
        for source in range(index + 2):
            mixed_op = plain.edges[edge]
            assert isinstance(mixed_op, MixedOp)
            yield from _edge(f"{name} edge {edge}", fast, node, source, mixed_op)
            edge += 1


def _edge(name: str, cell: SuperCell, node: MixedNode, source: int, plain: MixedOp) -> Iterator[Match]:
    edges = len(node.strides)
    for primitive, op in plain.ops.items():
        label = f"{name} {primitive}"
        on_edge = f"{primitive}_{source}"
        layer = op.get_submodule
        if primitive in node.separable:
            term = node.separable.index(primitive) * edges + source
            yield _kernels(label, node, primitive, source, layer("1"))
            yield from _projection(f"{label} middle", node.middle, term, layer("2"), layer("3"))
            yield _kernels(label, node, f"{primitive}_second", source, layer("5"))
            yield from _projection(f"{label} last", node.last, term, layer("6"), layer("7"))
        elif primitive in node.dilated:
            term = (len(node.separable) + node.dilated.index(primitive)) * edges + source
            yield _kernels(label, node, primitive, source, layer("1"))
            yield from _projection(label, node.last, term, layer("2"), layer("3"))
        elif primitive.endswith("pool_3x3"):
            pool_norm = cell.get_submodule(f"sources.{source}.pools.{primitive}.norm")
            yield from _norms(label, pool_norm, layer("1"))
        elif on_edge in node.modules_on_edges:
            yield from module_matches(label, node.modules_on_edges[on_edge], op)


def _kernels(name: str, node: MixedNode, kernels: str, source: int, plain: nn.Module) -> Match:
    rows = slice(source * node.channels, (source + 1) * node.channels)
    return Match(
        f"{name} {kernels}", node.depthwise[kernels], plain.get_parameter("weight"), lambda t: t[rows]
    )


def _projection(name: str, fast: ProjectNorm, term: int, conv: nn.Module, norm: nn.Module) -> Iterator[Match]:
    yield Match(name, fast.weight, conv.get_parameter("weight"), lambda t: t[term][:, :, None, None])
    yield from _norms(name, fast, norm, term)


def module_matches(name: str, fast: nn.Module, plain: nn.Module) -> Iterator[Match]:
    """Yield the pairs of one primitive that is a module in both supernets."""
    if isinstance(fast, FastReduce):
        assert isinstance(plain, FactorizedReduce)
        yield _whole(f"{name} even", fast.even.weight, plain.conv1.weight)
        yield _whole(f"{name} odd", fast.odd.weight, plain.conv2.weight)
        yield from _norms(name, fast.bn, plain.bn)
    elif isinstance(fast, SelfAttention):
        assert isinstance(plain, PlainSelfAttention)
        targets = (plain.to_query, plain.to_key, plain.to_value)
        for third, linear in enumerate(targets):
            part = partial(_chunk, third)
            yield Match(f"{name} {third}", fast.in_projection.weight, linear.weight, part)
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
        conv, norm = ("conv", "bn") if isinstance(plain, PlainDepthwise) else ("1", "2")
        yield _whole(name, fast.conv.weight, plain.get_parameter(f"{conv}.weight"))
        yield from _norms(name, fast.bn, plain.get_submodule(norm))


def _chunk(third: int, weight: Tensor) -> Tensor:
    return weight.chunk(3)[third]


def shuffle_parameters(network: nn.Module) -> None:
    """Randomize every alpha and beta, and every parameter that is initialized to a constant."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.startswith(("alphas", "betas")):
                parameter.normal_()
            elif "position" in name or float(parameter.std()) == 0:
                parameter.add_(0.3 * torch.randn_like(parameter))
