"""What a node's map is turned into once, however many later nodes read it.

Shapes: B batch, C channels, H, W.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_space.feature_map import FeatureMap
from search_space.normalization import BatchNorm, recomputed
from search_space.primitives import halves
from search_space.supernet.depthwise import space_to_batch


class SourceForms(nn.Module):
    """What depends on a source node alone: its tap, and its pools with their batch norms.

    Args:
        primitives: the names of the space.
        channels: C.
        stride: stride of all edges that leave this node.
        recompute: take the maximum again in the backward pass: its indices are twice as large as the map.
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

    def forward(self, x: Tensor) -> Source:
        """Return the forms of the map ``x`` [B, C, H, W]."""
        return Source(x, self)


class Source:
    """A node's map as the edges that leave it need it; every form is made once, when first asked for."""

    def __init__(self, x: Tensor, forms: SourceForms) -> None:
        self.x, self.stride, self._forms = x, forms.stride, forms
        self._pooled: dict[str, Tensor] = {}

    @cached_property
    def rectified(self) -> Tensor:
        out: Tensor = self._forms.input(F.relu(self.x))
        return out

    @cached_property
    def strided(self) -> Tensor:
        """Every second pixel of the rectified map: all that a dilated convolution of stride 2 sees."""
        return self.halves[0]

    @cached_property
    def halves(self) -> tuple[Tensor, Tensor]:
        """The halves of the rectified map that a skip connection of stride 2 joins."""
        even, odd = (x.contiguous(memory_format=torch.channels_last) for x in halves(self.rectified))
        return even, odd

    @cached_property
    def folded(self) -> Tensor:
        """The rectified map as four interleaved sub-images."""
        return space_to_batch(self.rectified)

    def pooled(self, name: str) -> Tensor:
        """Return the normalized max or average pool."""
        if name not in self._pooled:
            pool = self._forms.pools[name]
            again = self._forms.recompute and name == "max_pool_3x3"
            self._pooled[name] = recomputed(pool, self.x) if again else pool(self.x)
        return self._pooled[name]

    @property
    def foldable(self) -> bool:
        return self.stride == 1 and self.x.shape[2] % 2 == 0 and self.x.shape[3] % 2 == 0


class Pool(nn.Module):
    """3x3 pooling and its batch norm without affine parameters."""

    def __init__(self, name: str, channels: int, stride: int) -> None:
        super().__init__()
        self.maximum, self.stride = name == "max_pool_3x3", stride
        self.norm = BatchNorm(channels, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.maximum:
            pooled = F.max_pool2d(x, 3, self.stride, 1)
        else:
            pooled = F.avg_pool2d(x, 3, self.stride, 1, count_include_pad=False)
        out: Tensor = self.norm(pooled)
        return out
