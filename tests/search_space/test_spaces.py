"""Spaces: skeletons, sizes that do not fit, and user-defined spaces."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from search_space import (
    SPACES,
    Genotype,
    Network,
    SearchSpace,
    Skeleton,
    SpaceError,
    SplittingError,
    Supernet,
    register,
)
from search_space.space import MAX_WIDTH, check_fit, stage_widths
from trials import count_cost
from trials.search.expected_macs import ExpectedMacs

SIZES: dict[str, Any] = {
    "cells": 3, "channels": 8, "nodes": 4, "output_node": "node_groups", "splitting": 2, "width_growth": 1.0,
    "patch_size": 2,
}  # fmt: skip


def test_reductions_stand_at_one_and_two_thirds() -> None:
    skeleton = SPACES["darts"].skeleton
    assert skeleton.reduction_cells(20) == {6, 13}
    assert skeleton.reduction_cells(8) == {2, 5}
    assert skeleton.reduction_cells(3) == {1, 2}
    assert SPACES["attention"].skeleton.reduction_cells(8) == set()


def test_widths_double_at_reductions_and_grow_by_the_factor() -> None:
    assert stage_widths(SPACES["darts"], cells=6, channels=8, width_growth=1.0) == [8, 8, 16, 16, 32, 32]
    assert stage_widths(SPACES["darts"], cells=3, channels=8, width_growth=1.5) == [12, 24, 48]
    assert stage_widths(SPACES["attention"], cells=3, channels=8, width_growth=1.0) == [8, 8, 8]


@pytest.mark.parametrize("cells", [3, 1000])
def test_the_cells_of_every_stage_must_fit(cells: int) -> None:
    sizes = SIZES | {"cells": cells}
    check_fit(SPACES["darts"], **sizes | {"channels": MAX_WIDTH // 4})
    check_fit(SPACES["attention"], **sizes | {"channels": MAX_WIDTH})
    for channels in (MAX_WIDTH // 2, 0):
        with pytest.raises(SpaceError, match="a cell must have 1 to 16,777,216 channels, but got"):
            check_fit(SPACES["darts"], **sizes | {"channels": channels})


@pytest.mark.parametrize(
    ("space", "changed", "error", "message"),
    [
        ("darts", {"splitting": 3}, SplittingError, "divide the 4 concatenated nodes, but got splitting=3"),
        ("darts", {"output_node": "partial", "splitting": 3}, SplittingError, "of 8 channels, but got splitting=3"),
        ("hybrid", {"channels": 6}, SpaceError, "the 4 heads of self_attention must divide the width, but got 6"),
        ("attention", {"channels": 6}, SpaceError, "the 4 heads of self_attention_4h must divide"),
        ("hybrid", {"partial_channels": 4}, SpaceError, "heads of self_attention must divide the width, but got 2"),
        ("darts", {"cells": 1}, SpaceError, "a normal cell beside the 2 reductions of darts, but got cells=1"),
        ("hybrid", {"cells": 2}, SpaceError, "a normal cell beside the 2 reductions of hybrid, but got cells=2"),
        ("darts", {"partial_channels": 3}, SpaceError, "`partial_channels` must divide the node width 8, but got 3"),
        ("darts", {"input_shape": (1, 7, 28)}, SpaceError, "2 reductions need images of at least 8 pixels a side"),
        ("attention", {"input_shape": (3, 9, 8)}, SpaceError, "`patch_size` must divide the image's 9x8 pixels"),
        ("attention", {"input_shape": (3, 8, 8), "patch_size": 3}, SpaceError, "but got patch_size=3"),
        ("attention", {"activation": "swish"}, SpaceError, "must be one of gelu, relu, relu2, but got 'swish'"),
        ("hybrid", {"activation": "relu"}, SpaceError, "gelu in a space without MLPs, but got relu with hybrid"),
        ("attention", {"stem": "imagenet"}, SpaceError, "at least 2 channels, but got space attention"),
        ("darts", {"stem": "imagenet", "input_shape": (3, 63, 64)}, SpaceError, "64 pixels .* `stem: imagenet`"),
    ],
)  # fmt: skip
def test_sizes_that_do_not_fit_are_one_clear_error(
    space: str, changed: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        check_fit(SPACES[space], **SIZES | changed)


@pytest.mark.parametrize("space", ["darts", "hybrid", "attention"])
def test_sizes_that_fit_are_built_and_compute(space: str) -> None:
    check_fit(SPACES[space], **SIZES, input_shape=(3, 8, 8))
    supernet = Supernet(space, **SIZES, classes=3)
    assert supernet(torch.randn(2, 3, 8, 8)).shape == (2, 3)


def test_a_supernet_checks_its_sizes() -> None:
    with pytest.raises(SpaceError, match="heads of self_attention"):
        Supernet("hybrid", cells=3, channels=6, classes=3)
    with pytest.raises(SplittingError, match="but got splitting=3"):
        Supernet("darts", cells=3, channels=8, classes=3, splitting=3)


def test_a_space_without_a_primitive_that_computes_is_an_error() -> None:
    register(SearchSpace("nothing", ("none",), Skeleton()))
    try:
        supernet = Supernet("nothing", cells=2, channels=4, classes=3, nodes=2)
        with pytest.raises(ValueError, match="a primitive besides `none`"):
            supernet(torch.randn(2, 3, 8, 8))
    finally:
        del SPACES["nothing"]


OWN = {
    "convolutions": SearchSpace(
        "own",
        ("none", "skip_connect", "sep_conv_7x7", "conv_7x1_1x7"),
        Skeleton(reductions=(Fraction(1, 2),)),
    ),
    "dilated": SearchSpace("own", ("none", "dil_conv_3x3"), Skeleton(reductions=(Fraction(1, 2),))),
    "no none": SearchSpace("own", ("window_attention", "avg_pool_3x3", "mlp_2x"), Skeleton(stem="patch")),
    "patches with reductions": SearchSpace(
        "own", ("none", "dw_conv_3x3", "self_attention"), Skeleton(stem="patch", reductions=(Fraction(1, 2),))
    ),
}


@pytest.fixture(params=OWN)
def own_space(request: pytest.FixtureRequest) -> Iterator[SearchSpace]:
    space = register(OWN[request.param])
    yield space
    del SPACES["own"]


def test_a_user_defined_space_needs_only_primitives_and_a_skeleton(own_space: SearchSpace) -> None:
    sizes: dict[str, Any] = {"cells": 3, "channels": 4, "classes": 3, "splitting": 2}
    supernet = Supernet("own", nodes=2, **sizes)
    assert set(supernet.alphas) == set(own_space.cell_kinds())
    images, labels = torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, 0])
    before = [alpha.detach().clone() for alpha in supernet.alphas.values()]
    optimizer = torch.optim.Adam(supernet.parameters(), lr=0.05)
    for _ in range(2):
        optimizer.zero_grad()
        F.cross_entropy(supernet(images), labels).backward()
        optimizer.step()
    assert all(not torch.equal(b, a) for b, a in zip(before, supernet.alphas.values(), strict=True))
    genotype = supernet.genotype()
    assert Genotype.from_json(genotype.to_json()) == genotype
    assert {name for cell in genotype.cells().values() for name, _ in cell.edges} <= set(
        own_space.primitives
    ) - {"none"}
    network = Network(genotype, space="own", **sizes)
    assert network(images).shape == (4, 3)
    cost = count_cost(network, (3, 8, 8))
    assert cost.params == sum(p.numel() for p in network.parameters())
    expected = ExpectedMacs(supernet, (3, 8, 8))().item()
    assert cost.macs > 0
    assert expected > 0


def test_the_smallest_image_depends_on_patches_and_reductions() -> None:
    space = OWN["patches with reductions"]
    with pytest.raises(SpaceError, match="1 reductions need"):
        check_fit(space, **SIZES, input_shape=(3, 4, 4))
    check_fit(space, **SIZES, input_shape=(3, 8, 8))
