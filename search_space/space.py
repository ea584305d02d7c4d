"""Search spaces: a name, a tuple of primitives and a skeleton.

A new space is one ``register(SearchSpace(...))``. All spaces share the code of cell, output node, supernet, genotype
and cost model. This module does not import torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, get_args

from search_space.splitting import output_channels
from shrinksweep import ShrinksweepError

StemName = Literal["cifar", "imagenet"]
"""The convolutional stems of DARTS. ``cifar``: a 3x3 convolution to three times the node width; ``imagenet``: three 3x3
convolutions of stride 2, so that the first cell sees the image at an eighth of its height and width."""


class SpaceError(ShrinksweepError, ValueError):
    """A network that cannot be built: unknown primitive, or sizes that do not fit together."""


@dataclass(frozen=True)
class Skeleton:
    """How cells are stacked between the image and the classifier.

    Attributes:
        stem: ``conv`` is convolutional (:data:`StemName`), ``patch`` a patch embedding.
        reductions: positions of the reduction cells, as fractions of the depth. A reduction cell halves height and
            width and doubles the channels. Empty: normal cells only.
    """

    stem: Literal["conv", "patch"] = "conv"
    reductions: tuple[Fraction, ...] = ()

    def reduction_cells(self, cells: int) -> frozenset[int]:
        """Return the indices of the reduction cells in a stack of ``cells`` cells."""
        return frozenset(cells * part.numerator // part.denominator for part in self.reductions)


@dataclass(frozen=True)
class SearchSpace:
    """The primitives that an edge can take, and how cells are stacked.

    Attributes:
        name: the name in sweep files.
        primitives: names of the primitives, usually with ``none``.
        skeleton: how cells are stacked.
    """

    name: str
    primitives: tuple[str, ...]
    skeleton: Skeleton

    def cell_kinds(self) -> tuple[str, ...]:
        """Return the kinds of cell that are searched: ``normal``, and ``reduce`` if the skeleton has reductions."""
        return ("normal", "reduce") if self.skeleton.reductions else ("normal",)


_DARTS_PRIMITIVES = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
_DARTS_SKELETON = Skeleton(stem="conv", reductions=(Fraction(1, 3), Fraction(2, 3)))

SPACES: dict[str, SearchSpace] = {}
"""All registered spaces by name."""


def register(space: SearchSpace) -> SearchSpace:
    """Add ``space`` to :data:`SPACES`, so that sweep files can use it, and return it."""
    SPACES[space.name] = space
    return space


register(SearchSpace("darts", _DARTS_PRIMITIVES, _DARTS_SKELETON))
register(SearchSpace("hybrid", (*_DARTS_PRIMITIVES, "self_attention"), _DARTS_SKELETON))
register(
    SearchSpace(
        "attention",
        (
            "none",
            "skip_connect",
            "self_attention_2h",
            "self_attention_4h",
            "window_attention",
            "mlp_2x",
            "mlp_4x",
            "dw_conv_3x3",
        ),
        Skeleton(stem="patch"),
    )
)

HEADS = {"self_attention": 4, "self_attention_2h": 2, "self_attention_4h": 4, "window_attention": 4}
"""Heads of each attention primitive. They must divide the node width."""
MLP_RATIOS = {"mlp_2x": 2, "mlp_4x": 4}
"""Width of the hidden layer of each MLP primitive, in node widths."""
Activation = Literal["gelu", "relu", "relu2"]
"""Function between the two layers of an MLP primitive; ``relu2`` is the square of ReLU (So et al., NeurIPS 2021)."""


IMAGENET_STRIDE = 8
"""Factor by which the stem ``imagenet`` divides height and width."""

MAX_WIDTH = 2**24
"""The largest node width, in channels."""


def check_fit(
    space: SearchSpace,
    *,
    cells: int,
    channels: int,
    nodes: int,
    output_node: str,
    splitting: int,
    width_growth: float,
    patch_size: int,
    activation: str = "gelu",
    stem: StemName = "cifar",
    primitives: tuple[str, ...] | None = None,
    partial_channels: int = 1,
    input_shape: tuple[int, int, int] | None = None,
) -> None:
    """Check that a network of these sizes can be built.

    Args:
        space: the search space.
        cells: number of cells.
        channels: node width C of the first cell.
        nodes: concatenated nodes of a cell.
        output_node: how a cell's nodes are joined.
        splitting: s, the parameter of the output node.
        width_growth: factor on the node width of every cell.
        patch_size: side of a patch in pixels (patch embedding only).
        activation: function between the two layers of an MLP; another one than GELU needs a space with MLPs.
        stem: the convolutional stem; a patch embedding has none.
        primitives: the primitives that must fit the node widths; None: all of the space.
        partial_channels: K; the primitives operate on 1/K of the channels (PC-DARTS).
        input_shape: [C, H, W] of an image; None skips the check of the image size.

    Raises:
        SplittingError: ``splitting`` does not fit the output node.
        SpaceError: too few cells for a normal cell beside the reductions, cells without channels or with too many,
            heads that do not divide the width, an activation that is unknown or that no primitive has, a stem that the
            space does not have, or an image too small for the stem or the reductions.
    """
    if activation not in get_args(Activation):
        raise SpaceError(
            f"`activation` must be one of {', '.join(get_args(Activation))}, but got {activation!r}"
        )
    if activation != "gelu" and not MLP_RATIOS.keys() & set(space.primitives):
        raise SpaceError(
            f"`activation` must be gelu in a space without MLPs, but got {activation} with {space.name}"
        )
    if stem == "imagenet" and (space.skeleton.stem != "conv" or channels < 2):
        raise SpaceError(
            "`stem: imagenet` needs a space with a convolutional stem and at least 2 channels, but got space "
            f"{space.name} with channels={channels}"
        )
    reductions = space.skeleton.reductions
    if len(space.skeleton.reduction_cells(cells)) < len(reductions) or cells <= len(reductions):
        raise SpaceError(
            f"`cells` must leave room for a normal cell beside the {len(reductions)} reductions of {space.name}, "
            f"but got cells={cells}"
        )
    for width in _distinct_widths(space, cells, channels, width_growth):
        if not 1 <= width <= MAX_WIDTH:
            raise SpaceError(
                f"a cell must have 1 to {MAX_WIDTH:,} channels, but got {width:g} with channels={channels}, "
                f"width_growth={width_growth:g}"
            )
        output_channels(output_node, splitting, nodes, width)
        if width % partial_channels:
            raise SpaceError(
                f"`partial_channels` must divide the node width {width}, but got {partial_channels}"
            )
        operated = width // partial_channels
        for primitive in space.primitives if primitives is None else primitives:
            heads = HEADS.get(primitive, 1)
            if operated % heads:
                raise SpaceError(
                    f"the {heads} heads of {primitive} must divide the width, but got {operated} channels"
                )
    if input_shape is None:
        return
    height, width = input_shape[1:]
    patch = patch_size if space.skeleton.stem == "patch" else 1
    if height % patch or width % patch:
        raise SpaceError(
            f"`patch_size` must divide the image's {height}x{width} pixels, but got patch_size={patch_size}"
        )
    halvings = len(space.skeleton.reduction_cells(cells))
    patch *= IMAGENET_STRIDE if stem == "imagenet" else 1
    smallest = 2**halvings * 2 * patch if halvings else patch
    if min(height, width) < smallest:
        raise SpaceError(
            f"{halvings} reductions need images of at least {smallest} pixels a side, but got {height}x{width}"
            + (" with `stem: imagenet`" if stem == "imagenet" else "")
        )


def stage_widths(space: SearchSpace, *, cells: int, channels: int, width_growth: float) -> list[int]:
    """Return the node width of every cell: ``channels`` doubled at each reduction, times ``width_growth``, rounded."""
    reductions = space.skeleton.reduction_cells(cells)
    widths, width = [], channels
    for index in range(cells):
        width *= 2 if index in reductions else 1
        widths.append(_grown(width, width_growth))
    return widths


def _distinct_widths(space: SearchSpace, cells: int, channels: int, width_growth: float) -> list[int]:
    """Return what ``stage_widths`` returns, each width once: plans look at thousands of deep networks."""
    reductions = space.skeleton.reduction_cells(cells)
    doublings = range(1 if 0 in reductions else 0, len(reductions) + 1)
    return list(dict.fromkeys(_grown(channels * 2**k, width_growth) for k in doublings))


def _grown(width: int, factor: float) -> int:
    return round(min(width * factor, 1e18))
