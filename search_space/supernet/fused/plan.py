"""What one source stage computes: its terms, and where the parameters of each lie in one packed tensor.

Edges that leave one source end in consecutive nodes. Every edge has the same primitives, so a *kind* of term occurs
once an edge, and terms are numbered by kind, then by edge.

Shapes: B batch, C channels, H height, W width; E edges, k kernel size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple

from torch import Tensor

from search_space.primitives import kernel_size


class Geometry(NamedTuple):
    """Height and width of a source's map, and of the maps of the nodes that read it."""

    height: int
    width: int
    out_height: int
    out_width: int

    @staticmethod
    def of(x: Tensor, stride: int) -> Geometry:
        """Return the geometry of the map ``x`` [B, C, H, W]."""
        height, width = x.shape[2:]
        return Geometry(height, width, -(-height // stride), -(-width // stride))

    def positions(self, x: Tensor) -> int:
        """Return the positions of a node, given the source's map [B H W, C]."""
        return x.shape[0] // (self.height * self.width) * self.out_height * self.out_width

    def of_nodes(self) -> Geometry:
        """Return the geometry of an operation that keeps the height and width of the nodes."""
        return Geometry(self.out_height, self.out_width, self.out_height, self.out_width)


@dataclass(frozen=True)
class SourcePlan:
    """The fused terms of all edges that leave one source.

    Attributes:
        edges: E.
        channels: C.
        stride: of all edges.
        primitives: names of the primitives, the columns of gamma.
        factorized: whether skip connections of stride 2 are fused.
    """

    edges: int
    channels: int
    stride: int
    primitives: tuple[str, ...]
    factorized: bool = False

    @cached_property
    def separable(self) -> tuple[str, ...]:
        """Names of the separable convolutions."""
        return tuple(name for name in self.primitives if name.startswith("sep_conv"))

    @cached_property
    def dilated(self) -> tuple[str, ...]:
        """Names of the dilated convolutions."""
        return tuple(name for name in self.primitives if name.startswith("dil_conv"))

    @cached_property
    def pools(self) -> tuple[str, ...]:
        """Names of the pools."""
        return tuple(name for name in self.primitives if name.endswith("pool_3x3"))

    @cached_property
    def largest(self) -> list[bool]:
        """For each pool, whether it is max pooling."""
        return [name == "max_pool_3x3" for name in self.pools]

    @cached_property
    def halves(self) -> int:
        """Maps that all edges share: the even and the odd pixels of a factorized reduce."""
        return 2 if self.factorized else 0

    @cached_property
    def skip_column(self) -> int:
        """Column of the identity in gamma; -1 if there is none."""
        return self.columns(["skip_connect"])[0] if self.fuses("skip_connect") and self.stride == 1 else -1

    def fuses(self, name: str) -> bool:
        """Return whether the stage computes the primitive ``name``."""
        if name == "skip_connect":
            return name in self.primitives and (self.stride == 1 or self.factorized)
        return name == "none" or name in self.separable + self.dilated + self.pools

    def columns(self, names: Sequence[str]) -> list[int]:
        """Return the columns of primitives in gamma."""
        return [self.primitives.index(name) for name in names]

    @cached_property
    def last_names(self) -> tuple[str, ...]:
        """The kind of every last 1x1 convolution; the halves of a factorized reduce are two kinds."""
        return (*self.dilated, *["skip_connect"] * self.halves, *self.separable)

    @cached_property
    def other_columns(self) -> list[int]:
        """Columns of gamma that the stage does not use."""
        return [
            column
            for column, name in enumerate(self.primitives)
            if name == "none" or not self.fuses(name)
        ]  # fmt: skip

    @cached_property
    def separable_terms(self) -> int:
        """Number of separable convolutions on all edges."""
        return self.edges * len(self.separable)

    @cached_property
    def dilated_terms(self) -> int:
        """Number of dilated convolutions on all edges."""
        return self.edges * len(self.dilated)

    @cached_property
    def first_maps(self) -> int:
        """Number of maps that are computed from the source directly."""
        return self.separable_terms + self.dilated_terms + self.halves

    @cached_property
    def maps(self) -> int:
        """Number of all maps z."""
        return self.first_maps + self.separable_terms

    @cached_property
    def last_weights(self) -> int:
        """Number of last 1x1 convolutions; a factorized reduce counts as one."""
        return self.separable_terms + self.dilated_terms + (self.edges if self.factorized else 0)

    @cached_property
    def kernels(self) -> list[int]:
        """Kernel sizes of the convolutions that read the source, by kind."""
        return [kernel_size(name) for name in self.separable + self.dilated]

    @cached_property
    def dilations(self) -> list[int]:
        """Dilations of the convolutions that read the source, by kind."""
        return [1] * len(self.separable) + [2] * len(self.dilated)

    @cached_property
    def second_kernels(self) -> list[int]:
        """Kernel sizes of the second depthwise convolutions of separable ones, by kind."""
        return [kernel_size(name) for name in self.separable]

    @cached_property
    def sections(self) -> list[int]:
        """Lengths of the four parts of the packed parameters.

        First depthwise kernels, second depthwise kernels, middle and last 1x1 convolutions, each by kind, then by edge.
        """
        kernel_elements = [
            self.edges * self.channels * sum(size * size for size in sizes)
            for sizes in (self.kernels, self.second_kernels)
        ]
        square = self.channels * self.channels
        return [*kernel_elements, self.separable_terms * square, self.last_weights * square]

    @cached_property
    def section_ends(self) -> list[int]:
        """Ends of the parts of the packed parameters."""
        return list(accumulate(self.sections))
