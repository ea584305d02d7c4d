"""The discrete network: parameters and macs of published genotypes, output nodes, drop path, taps."""

from __future__ import annotations

import copy
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from search_space import Genotype, Network, SpaceError, SplittingError, published
from search_space.feature_map import listening, taps
from search_space.genotype import CellGenotype
from search_space.network import DropPath
from search_space.primitives import PRIMITIVES, FactorizedReduce
from search_space.space import SPACES, StemName
from trials import count_cost
from trials.feature_maps.deployed import fold


class ByHand:
    """Parameters and macs of a DARTS network with concatenation, summed up from the formulas of its layers."""

    def __init__(self, genotype: Genotype, channels: int, cells: int, classes: int, side: int = 32) -> None:
        self.params = self.macs = 0
        stem = 3 * channels
        self.add(3 * stem * 9, stem, side * side)  # 3x3 convolution, batch norm
        before, previous, width = stem, stem, channels
        self.before_side = self.side = side
        reductions = {cells // 3, 2 * cells // 3}
        for index in range(cells):
            reduction = index in reductions
            cell = genotype.reduce if reduction else genotype.normal
            assert cell is not None
            width *= 2 if reduction else 1
            # preprocessing of both inputs; the first one halves height and width after a reduction cell
            self.add(before * width, width, self.side**2)
            self.add(previous * width, width, self.side**2)
            entering = self.side
            leaving = self.side // 2 if reduction else self.side
            for name, source in cell.edges:
                stride = 2 if reduction and source < 2 else 1
                self.edge(name, width, entering if source < 2 else leaving, stride)
            self.side = leaving
            before, previous = previous, len(cell.concat) * width
        self.params += previous * classes + classes
        self.macs += previous * classes

    def add(self, weights: int, channels: int, positions: int) -> None:
        """Add a convolution without bias that applies every weight at every position, and a batch norm."""
        self.params += weights + 2 * channels
        self.macs += weights * positions

    def edge(self, name: str, c: int, side: int, stride: int) -> None:
        out = (side // stride) ** 2
        k = int(name[-1]) if name[-1].isdigit() else 0
        if name.endswith("pool_3x3") or (name == "skip_connect" and stride == 1):
            return
        if name == "skip_connect":
            self.add(c * c, c, out)
        elif name.startswith("sep_conv"):
            self.add(c * k * k + c * c, c, out)
            self.add(c * k * k + c * c, c, out)
        elif name.startswith("dil_conv"):
            self.add(c * k * k + c * c, c, out)
        else:
            assert name == "conv_7x1_1x7"
            self.params += 14 * c * c + 2 * c
            self.macs += 7 * c * c * (side * side // stride) + 7 * c * c * out


def build(text: str, *, channels: int, cells: int, classes: int = 10, stem: StemName = "cifar") -> Network:
    with torch.device("meta"):
        return Network(
            Genotype.parse(text),
            output_node="concat",
            classes=classes,
            channels=channels,
            cells=cells,
            stem=stem,
        )


def test_darts_v2_has_the_published_size() -> None:
    cost = count_cost(build(published.DARTS_V2, channels=36, cells=20), (3, 32, 32))
    assert (cost.params, cost.macs, cost.flops) == (3_349_342, 528_359_040, 1_056_718_080)


def test_darts_v2_has_the_published_size_on_imagenet() -> None:
    network = build(published.DARTS_V2, channels=48, cells=14, classes=1000, stem="imagenet")
    cost = count_cost(network, (3, 224, 224))
    assert (cost.params, cost.macs) == (4_718_752, 529_911_552)


@torch.no_grad()
def test_the_imagenet_stem_is_that_of_darts() -> None:
    network = Network(
        Genotype.parse(published.DARTS_V2), channels=4, cells=3, classes=3, stem="imagenet"
    ).double()
    network.train()(torch.randn(4, 3, 64, 64, dtype=torch.float64))  # moves the running statistics
    network.eval()
    seen: dict[str, torch.Tensor] = {}
    names = ("stem_map", "second_stem_map", "cell0.preprocess0.input", "cell0.preprocess1.input")
    images = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    with listening(network, {name: partial(remember, seen, name) for name in names}):
        expected = network(images)

    def conv_bn(x: torch.Tensor, conv: str, bn: str) -> torch.Tensor:
        norm = network.get_submodule(bn)
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        y = F.conv2d(x, network.get_parameter(f"{conv}.weight"), stride=2, padding=1)
        mean, var = norm.running_mean[:, None, None], norm.running_var[:, None, None]
        return (y - mean) / (var + 1e-5).sqrt() * norm.weight[:, None, None] + norm.bias[:, None, None]

    half = conv_bn(images, "stem.0.0", "stem.0.1").relu()
    quarter = conv_bn(half, "stem.1.conv", "stem.1.bn")
    eighth = conv_bn(quarter.relu(), "second_stem.conv", "second_stem.bn")
    assert (half.shape[1:], quarter.shape[1:], eighth.shape[1:]) == ((2, 32, 32), (4, 16, 16), (4, 8, 8))
    for name, by_hand in zip(names, (quarter, eighth, quarter.relu(), eighth.relu()), strict=True):
        torch.testing.assert_close(seen[name], by_hand)
    fold(network)
    torch.testing.assert_close(network(images), expected)


def remember(seen: dict[str, torch.Tensor], name: str, x: torch.Tensor) -> torch.Tensor:
    seen[name] = x
    return x


@pytest.mark.parametrize("name", published.PUBLISHED)
@pytest.mark.parametrize(("channels", "cells"), [(36, 20), (8, 5)])
def test_published_genotypes_have_the_size_counted_by_hand(name: str, channels: int, cells: int) -> None:
    text = published.PUBLISHED[name]
    cost = count_cost(build(text, channels=channels, cells=cells), (3, 32, 32))
    hand = ByHand(Genotype.parse(text), channels, cells, 10)
    assert (cost.params, cost.macs) == (hand.params, hand.macs)


@pytest.mark.parametrize("name", published.PUBLISHED)
@pytest.mark.parametrize("side", [(8, 8), (9, 11)])
def test_published_genotypes_compute_and_learn(name: str, side: tuple[int, int]) -> None:
    network = Network(
        Genotype.parse(published.PUBLISHED[name]), channels=4, cells=3, classes=10, image_channels=1
    )
    logits = network(torch.randn(2, 1, *side))
    assert logits.shape == (2, 10)
    logits.square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())


def test_averaging_output_nodes_save_what_the_table_says() -> None:
    genotype = Genotype.parse(published.DARTS_V2)
    with torch.device("meta"):
        mean = Network(genotype, channels=36, cells=20, classes=10, output_node="node_groups", splitting=1)
    cost = count_cost(mean, (3, 32, 32))
    assert cost.params == pytest.approx(2.34e6, rel=0.01)
    assert cost.macs == pytest.approx(369e6, rel=0.01)


@pytest.mark.parametrize(
    ("output_node", "splitting"), [("node_groups", 2), ("channel_groups", 4), ("partial", 2), ("concat", 1)]
)
def test_cells_read_what_the_output_node_writes(output_node: str, splitting: int) -> None:
    network = Network(
        Genotype.parse(published.DARTS_V2), channels=4, cells=4, classes=3, output_node=output_node,
        splitting=splitting, width_growth=1.5 if output_node == "node_groups" else 1.0,
    )  # fmt: skip
    assert network(torch.randn(2, 3, 8, 8)).shape == (2, 3)


def test_primitives_of_a_published_genotype_are_the_layers_they_name() -> None:
    network = Network(Genotype.parse(published.AMOEBANET), channels=4, cells=3, classes=3)
    edge = network.get_submodule("cell1.edge8")
    kernels = [m.kernel_size for m in edge.modules() if isinstance(m, nn.Conv2d)]
    strides = [m.stride for m in edge.modules() if isinstance(m, nn.Conv2d)]
    assert (kernels, strides) == ([(1, 7), (7, 1)], [(1, 2), (2, 1)])


def test_a_cell_is_the_sum_of_two_edges_a_node() -> None:
    cell = CellGenotype(
        (("skip_connect", 0), ("max_pool_3x3", 1), ("avg_pool_3x3", 2), ("skip_connect", 1)), (2, 3)
    )
    network = Network(
        Genotype(cell, cell), channels=2, cells=4, classes=3, output_node="concat", image_channels=1
    ).eval()
    first_cell = network.cell(0)
    before, previous = torch.randn(2, 6, 8, 8), torch.randn(2, 6, 8, 8)
    with torch.no_grad():
        zero, one = first_cell.preprocess0(before), first_cell.preprocess1(previous)
        two = zero + nn.functional.max_pool2d(one, 3, 1, 1)
        three = nn.functional.avg_pool2d(two, 3, 1, 1, count_include_pad=False) + one
        torch.testing.assert_close(
            first_cell(first_cell.preprocess(before, previous), DropPath()), torch.cat([two, three], dim=1)
        )


def test_drop_path_drops_whole_maps_in_training_and_keeps_the_mean() -> None:
    cell = CellGenotype((("avg_pool_3x3", 0), ("avg_pool_3x3", 0)), (2,))
    network = Network(Genotype(cell, cell), channels=2, cells=3, classes=3, drop_path=0.5)
    x = torch.ones(4000, 2, 2, 2)
    out = DropPath(0.25)(x)
    values = out.flatten(1)
    assert ((values == 0).all(1) | (values == 1 / 0.75).all(1)).all()
    assert float(out.mean()) == pytest.approx(1.0, abs=0.05)
    network.eval()
    images = torch.randn(20, 3, 8, 8)
    assert torch.equal(network(images), network(images))
    network.train()
    assert not torch.equal(network(images), network(images))


def test_taps_stand_before_every_convolution_and_around_attention() -> None:
    network = Network(Genotype.parse(published.DARTS_V2), channels=4, cells=3, classes=3)
    names = set(taps(network))
    assert {
        "cell0.preprocess0.input",
        "cell0.edge0.0.input",
        "cell0.edge0.0.hidden",
        "cell0.edge7.input",
    } <= names
    genotype = Genotype(CellGenotype((("self_attention_2h", 0), ("mlp_2x", 1)), (2,)))
    attention = Network(genotype, channels=4, cells=1, classes=3, space="attention")
    edge = "cell0.edge0"
    assert {name for name, tap in taps(attention).items() if not tap.waiting} == {
        "cell0.preprocess0.input", "cell0.preprocess1.input", f"{edge}.query", f"{edge}.key", f"{edge}.value",
        f"{edge}.product.probabilities", f"{edge}.context", "cell0.edge1.hidden", f"{edge}.input", "cell0.edge1.input",
        "classifier.input",
    }  # fmt: skip


def test_listeners_are_detached_after_the_block_even_after_an_error() -> None:
    network = Network(Genotype.parse(published.DARTS_V2), channels=4, cells=3, classes=3)
    name = next(iter(taps(network)))
    with pytest.raises(ZeroDivisionError), listening(network, {name: lambda x: x}):
        raise ZeroDivisionError
    assert all(tap.listener is None for tap in taps(network).values())


def test_genotypes_that_do_not_fit_the_space_are_errors() -> None:
    normal_only = Genotype(CellGenotype((("skip_connect", 0), ("skip_connect", 1)), (2,)))
    with pytest.raises(SpaceError, match="needs a genotype with a reduce cell"):
        Network(normal_only, channels=4, cells=3, classes=3)
    with pytest.raises(SplittingError, match="5 concatenated nodes, but got splitting=2"):
        Network(Genotype.parse(published.NASNET), channels=4, cells=3, classes=3, splitting=2)
    unknown = CellGenotype((("conv_9x9", 0), ("skip_connect", 1)), (2,))
    with pytest.raises(SpaceError, match=r"a primitive must be one of .*, but got 'conv_9x9'"):
        Network(Genotype(unknown, unknown), channels=4, cells=3, classes=3)


@pytest.mark.parametrize("channels", [2, 3, 4, 7, 8, 15, 16])
@pytest.mark.parametrize("side", [7, 8])
def test_halving_has_the_gradients_of_its_strided_convolutions_however_narrow(
    channels: int, side: int
) -> None:
    torch.manual_seed(channels)
    module = FactorizedReduce(channels, 2 * channels, affine=True)
    x = torch.randn(5, channels, side, side).contiguous(memory_format=torch.channels_last).requires_grad_()
    weight = torch.randn(5, 2 * channels, (side + 1) // 2, (side + 1) // 2)
    gradients = torch.autograd.grad((module(x) * weight).sum(), [x, *module.parameters()])

    plain = copy.deepcopy(module).double()
    y = x.detach().double().contiguous().requires_grad_()
    rectified = F.pad(y.relu(), (0, side % 2, 0, side % 2))
    halved = [F.conv2d(rectified, plain.even.weight, stride=2),
              F.conv2d(rectified[:, :, 1:, 1:], plain.odd.weight, stride=2)]  # fmt: skip
    joined = plain.bn(torch.cat(halved, dim=1))
    expected = torch.autograd.grad((joined * weight).sum(), [y, *plain.parameters()])
    for gradient, other in zip(gradients, expected, strict=True):
        torch.testing.assert_close(gradient.double(), other, rtol=1e-4, atol=1e-4)


def test_the_primitives_that_genotypes_may_name_are_those_that_exist() -> None:
    named = {name for space in SPACES.values() for name in space.primitives} | {*published.EXTRA_PRIMITIVES}
    assert {*PRIMITIVES, "none"} <= named
