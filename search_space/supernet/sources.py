"""Derived forms of a source node's map, computed once and shared by all nodes that read it.

Shapes: B batch, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from search_space.feature_map import FeatureMap
from search_space.normalization import BatchNorm, recomputed
from search_space.primitives import halves
from search_space.supernet.depthwise import space_to_batch


class SourceForms(nn.Module):
    """The modules that depend only on the source node: its tap, and its pools with their batch norms.

    Args:
        primitives: names of the primitives of the space.
        channels: C.
        stride: stride of all edges that leave this node.
        recompute: compute max pooling again in the backward pass instead of storing its indices, which are twice as
            large as the map.
    """

    def __init__(
        self, primitives: Sequence[str], channels: int, stride: int, recompute: bool = False
    ) -> None:
        super().__init__()
        self.stride, self.recompute = stride, recompute
        self.input = FeatureMap(rectified=True)
        self.pools = nn.ModuleDict(
            {name: Pool(name, channels, stride) for name in primitives if name.endswith("pool_3x3")}
        )

    @override
    def forward(self, x: Tensor) -> Source:
        """Return the source of the map ``x`` [B, C, H, W]."""
        return Source(x, self)


class Source:
    """A source node's map in the forms that its outgoing edges need; each form is computed on first use."""

    def __init__(self, x: Tensor, forms: SourceForms) -> None:
        self.x, self.stride, self._forms = x, forms.stride, forms
        self._pooled: dict[str, Tensor] = {}

    @cached_property
    def rectified(self) -> Tensor:
        """The map after a ReLU and the tap."""
        out: Tensor = self._forms.input(F.relu(self.x))
        return out

    @cached_property
    def strided(self) -> Tensor:
        """The even pixels of the rectified map: the only ones that a dilated convolution of stride 2 reads."""
        return self.halves[0]

    @cached_property
    def halves(self) -> tuple[Tensor, Tensor]:
        """Even and odd pixels of the rectified map, as a skip connection of stride 2 reads them."""
        even, odd = (x.contiguous(memory_format=torch.channels_last) for x in halves(self.rectified))
        return even, odd

    @cached_property
    def folded(self) -> Tensor:
        """The rectified map as four interleaved sub-images [4 B, C, H/2, W/2]."""
        return space_to_batch(self.rectified)

    def pooled(self, name: str) -> Tensor:
        """Return the map after max or average pooling (``name``) and batch norm."""
        if name not in self._pooled:
            pool = self._forms.pools[name]
            recompute = self._forms.recompute and name == "max_pool_3x3"
            self._pooled[name] = recomputed(pool, self.x) if recompute else pool(self.x)
        return self._pooled[name]

    @property
    def foldable(self) -> bool:
        """Whether dilated convolutions can run on sub-images: stride 1, even height and width."""
        return self.stride == 1 and self.x.shape[2] % 2 == 0 and self.x.shape[3] % 2 == 0


class Pool(nn.Module):
    """3x3 max or average pooling, then batch norm without affine parameters."""

    def __init__(self, name: str, channels: int, stride: int) -> None:
        super().__init__()
        self.is_max, self.stride = name == "max_pool_3x3", stride
        self.norm = BatchNorm(channels, affine=False)

    @override
    def forward(self, x: Tensor) -> Tensor:
        if self.is_max:
            pooled = F.max_pool2d(x, 3, self.stride, 1)
        else:
            pooled = F.avg_pool2d(x, 3, self.stride, 1, count_include_pad=False)
        out: Tensor = self.norm(pooled)
        return out
