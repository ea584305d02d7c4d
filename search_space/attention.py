"""Attention and MLP primitives on feature maps. Every position of a map is a token.

Shapes: B batch, C channels, H height, W width; T = H W tokens; D = C / heads.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from search_space.feature_map import FeatureMap
from search_space.normalization import BatchNorm
from search_space.space import Activation

REACH = 7
"""Clipping distance of the relative position bias, in positions (Shaw et al., NAACL 2018)."""


class AttentionProduct(nn.Module):
    """softmax(Q K^T / sqrt(D) + bias) V.

    Query, key and value are [..., heads, T, D]; the bias broadcasts to [..., heads, T, T]. Without a listener on the
    probabilities, the fused ``scaled_dot_product_attention`` computes the result. With a listener, the probabilities
    are computed explicitly. If the listener returns the same tensor object and gradients are disabled, the result is
    still the fused one, bit for bit.
    """

    def __init__(self) -> None:
        super().__init__()
        self.probabilities = FeatureMap(normalized=True)

    @override
    def forward(self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
        if self.probabilities.listener is None:
            return F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        probabilities = _probabilities(query, key, bias)
        tapped: Tensor = self.probabilities(probabilities)
        if tapped is probabilities and not torch.is_grad_enabled():
            return F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        return tapped @ value

    @staticmethod
    def explicit(
        query: Tensor,
        key: Tensor,
        value: Tensor,
        bias: Tensor,
        change: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Return the product, computed from its probabilities, which ``change`` may replace; no tap is called."""
        probabilities = _probabilities(query, key, bias)
        return (probabilities if change is None else change(probabilities)) @ value


def _probabilities(query: Tensor, key: Tensor, bias: Tensor) -> Tensor:
    scores = (query * query.shape[-1] ** -0.5) @ key.mT
    scores += bias  # in place: saves a map of [..., heads, T, T]
    return scores.softmax(-1)


class RelativePosition(nn.Module):
    """Learned bias for every head and every offset between two positions; offsets are clipped at :data:`REACH`.

    Shaw et al., NAACL 2018, with the offset in two dimensions.
    """

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(heads, (2 * REACH + 1) ** 2))
        self._index: tuple[tuple[int, int, torch.device], Tensor] | None = None

    @override
    def forward(self, height: int, width: int) -> Tensor:
        """Return the bias between all positions of a map of this size: [heads, T, T]."""
        key = (height, width, self.table.device)
        if self._index is None or self._index[0] != key:
            self._index = (key, _table_index(height, width, self.table.device))
        tokens = height * width
        return self.table.index_select(1, self._index[1]).view(-1, tokens, tokens)


class SelfAttention(nn.Module):
    """Pre-norm multi-head self-attention with relative positions, over the whole map or in square windows.

    Windows that extend beyond the map attend only to positions inside it.

    Args:
        channels: C, a multiple of ``heads``.
        heads: attention heads.
        stride: 1, or 2: the map is average-pooled first.
        affine: whether the norms learn a scale and a shift (discrete network) or not (supernet).
        window: side of a window in positions; None attends over the whole map.
    """

    def __init__(
        self, channels: int, heads: int, stride: int, affine: bool, window: int | None = None
    ) -> None:
        super().__init__()
        self.heads, self.stride, self.window = heads, stride, window
        self.norm = nn.LayerNorm(channels, elementwise_affine=affine)
        self.input = FeatureMap(linear=True)
        self.in_projection = nn.Linear(channels, 3 * channels, bias=False)
        self.position = RelativePosition(heads)
        self.query, self.key, self.value, self.context = (
            FeatureMap(),
            FeatureMap(),
            FeatureMap(),
            FeatureMap(),
        )
        self.product = AttentionProduct()
        self.out_projection = nn.Linear(channels, channels, bias=False)
        self.bn = BatchNorm(channels, affine)
        self._masks: tuple[tuple[int, int, torch.device], Tensor] | None = None

    @override
    def forward(self, x: Tensor) -> Tensor:
        if self.stride == 2:
            x = F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)
        tokens = x.permute(0, 2, 3, 1)  # [B, H, W, C]
        query, key, value = self.in_projection(self.input(self.norm(tokens))).chunk(3, dim=-1)
        query, key, value = self.query(query), self.key(key), self.value(value)
        attend = self._attend_globally if self.window is None else self._attend_in_windows
        context = self.context(attend(query, key, value))
        return self.bn(self.out_projection(context).permute(0, 3, 1, 2))

    def _attend_globally(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        height, width = query.shape[1:3]
        bias = self.position(height, width).to(query.dtype)
        heads = (x.flatten(1, 2).unflatten(2, (self.heads, -1)).transpose(1, 2) for x in (query, key, value))
        context = self.product(*heads, bias)  # [B, heads, T, D]
        return context.transpose(1, 2).reshape(query.shape)

    def _attend_in_windows(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        assert self.window is not None
        height, width = query.shape[1:3]
        side = self.window
        bias = self.position(side, side).to(query.dtype)  # [heads, side^2, side^2]
        padding = _padding(height, width, side)
        masked = self._outside(height, width, query.device)
        bias = bias.masked_fill(masked[:, None, None, :], float("-inf"))  # [windows, heads, side^2, side^2]
        heads = (
            _to_windows(F.pad(x, padding), side).unflatten(-1, (self.heads, -1)).transpose(2, 3)
            for x in (query, key, value)
        )  # [B, windows, heads, side^2, D]
        context = self.product(*heads, bias).transpose(2, 3).flatten(3)  # [B, windows, side^2, C]
        return _from_windows(context, height, width, side)

    def _outside(self, height: int, width: int, device: torch.device) -> Tensor:
        """Return which positions of each window lie outside the map: bool [windows, side^2].

        Also tells the tap of the probabilities which of its features are between positions inside.
        """
        assert self.window is not None
        key = (height, width, device)
        if self._masks is None or self._masks[0] != key:
            marked = F.pad(
                torch.zeros(1, height, width, 1, device=device),
                _padding(height, width, self.window),
                value=1.0,
            )
            outside = _to_windows(marked, self.window)[0, :, :, 0].bool()
            if device.type != "meta":  # where nothing is counted, and no mask has values
                self.product.probabilities.inside = _pairs_inside(outside, self.heads)
            self._masks = (key, outside)
        return self._masks[1]


class MLP(nn.Module):
    """Pre-norm perceptron on every position: C -> ``ratio`` C -> C channels, with ``activation`` between the layers.

    GELU makes no zeros. ReLU and its square make half of the hidden map zero, and more after training.
    """

    def __init__(self, channels: int, ratio: int, affine: bool, activation: Activation = "gelu") -> None:
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.norm = nn.LayerNorm(channels, elementwise_affine=affine)
        self.input = FeatureMap(linear=True)
        self.up = nn.Linear(channels, ratio * channels)
        self.hidden = FeatureMap(rectified=activation != "gelu")
        self.down = nn.Linear(ratio * channels, channels, bias=False)
        self.bn = BatchNorm(channels, affine)

    @override
    def forward(self, x: Tensor) -> Tensor:
        hidden = self.hidden(self.activation(self.up(self.input(self.norm(x.permute(0, 2, 3, 1))))))
        return self.bn(self.down(hidden).permute(0, 3, 1, 2))


def _squared_relu(x: Tensor) -> Tensor:
    return F.relu(x).square()


ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "relu": F.relu,
    "relu2": _squared_relu,
}
"""The functions by name."""


def _pairs_inside(outside: Tensor, heads: int) -> Tensor | None:
    """Return the indices of the probabilities between positions inside the map, int64 [n]; None if all are.

    ``outside`` is bool [windows, T], the probabilities are [windows, heads, T, T].
    """
    if not outside.any():
        return None
    pairs = ~outside[:, :, None] & ~outside[:, None, :]
    return pairs[:, None].expand(-1, heads, -1, -1).flatten().nonzero()[:, 0]


def _table_index(height: int, width: int, device: torch.device) -> Tensor:
    """Return the column of the bias table for every pair of positions, flattened: [T T]."""
    sides = (torch.arange(side, device=device) for side in (height, width))
    y, x = torch.meshgrid(*sides, indexing="ij")
    y, x = y.flatten(), x.flatten()
    down = (y[None, :] - y[:, None]).clamp(-REACH, REACH) + REACH
    right = (x[None, :] - x[:, None]).clamp(-REACH, REACH) + REACH
    return (down * (2 * REACH + 1) + right).flatten()


def _padding(height: int, width: int, side: int) -> tuple[int, int, int, int, int, int]:
    """Return the ``F.pad`` argument that pads H and W of [B, H, W, C] to multiples of ``side``."""
    return (0, 0, 0, -width % side, 0, -height % side)


def _to_windows(x: Tensor, side: int) -> Tensor:
    """Split [B, H, W, C] into [B, windows, side^2, C]."""
    batch, height, width, channels = x.shape
    parts = x.reshape(batch, height // side, side, width // side, side, channels).transpose(2, 3)
    return parts.reshape(batch, -1, side * side, channels)


def _from_windows(x: Tensor, height: int, width: int, side: int) -> Tensor:
    """Undo :func:`_to_windows` and drop the padding: [B, windows, side^2, C] -> [B, H, W, C]."""
    rows, columns = -(-height // side), -(-width // side)
    parts = x.unflatten(2, (side, side)).unflatten(1, (rows, columns)).transpose(2, 3)
    return parts.reshape(x.shape[0], rows * side, columns * side, -1)[:, :height, :width].contiguous()
