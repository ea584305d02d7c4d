"""Reference attention primitives: loops over windows, heads and pairs of positions.

Independent of ``search_space.attention``; simple and slow on purpose.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HEADS = {"self_attention": 4, "self_attention_2h": 2, "self_attention_4h": 4, "window_attention": 4}
FARTHEST = 7
"""Clipping distance: positions farther apart share the bias of this distance."""
WINDOW = 4


def layer_norm(tokens: Tensor) -> Tensor:
    """(x - mean) / sqrt(var + 1e-5) over the last dimension."""
    mean = tokens.mean(-1, keepdim=True)
    variance = ((tokens - mean) ** 2).mean(-1, keepdim=True)
    return (tokens - mean) / torch.sqrt(variance + 1e-5)


def attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """softmax(Q K^T / sqrt(D) + bias) V of one head; query, key, value: [B, T, D], bias: [T, T]."""
    scores = query @ key.transpose(1, 2) / math.sqrt(query.shape[2]) + bias
    weights = torch.exp(scores - scores.max(dim=2, keepdim=True).values.detach())
    return (weights / weights.sum(dim=2, keepdim=True)) @ value


@lru_cache
def offsets(height: int, width: int) -> list[list[int]]:
    """Return the index into the bias table for all pairs of positions of a block: [T][T]."""
    positions = [(y, x) for y in range(height) for x in range(width)]
    rows = []
    for y, x in positions:
        row = []
        for other_y, other_x in positions:
            down = max(-FARTHEST, min(FARTHEST, other_y - y))
            right = max(-FARTHEST, min(FARTHEST, other_x - x))
            row.append((down + FARTHEST) * (2 * FARTHEST + 1) + right + FARTHEST)
        rows.append(row)
    return rows


class PlainSelfAttention(nn.Module):
    """Norm, query, key and value, attention in blocks of the map, projection, batch norm."""

    def __init__(self, channels: int, heads: int, stride: int, window: int | None) -> None:
        super().__init__()
        self.heads, self.stride, self.window = heads, stride, window
        self.to_query = nn.Linear(channels, channels, bias=False)
        self.to_key = nn.Linear(channels, channels, bias=False)
        self.to_value = nn.Linear(channels, channels, bias=False)
        self.position = nn.Parameter(torch.zeros(heads, 2 * FARTHEST + 1, 2 * FARTHEST + 1))
        self.projection = nn.Linear(channels, channels, bias=False)
        self.bn = nn.BatchNorm2d(channels, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == 2:
            x = self.halved(x)
        _, _, height, width = x.shape
        side = self.window or max(height, width)
        tokens = layer_norm(x.permute(0, 2, 3, 1))  # [B, H, W, C]
        rows = []
        for top in range(0, height, side):
            blocks = [
                self.block(tokens[:, top : top + side, left : left + side]) for left in range(0, width, side)
            ]
            rows.append(torch.cat(blocks, dim=2))
        context = torch.cat(rows, dim=1)
        return self.bn(self.projection(context).permute(0, 3, 1, 2))

    def halved(self, x: Tensor) -> Tensor:
        """Return the mean of every 2x2 block of pixels; blocks at an odd border are smaller."""
        _, _, height, width = x.shape
        rows = []
        for top in range(0, height, 2):
            blocks = [x[:, :, top : top + 2, left : left + 2].mean((2, 3)) for left in range(0, width, 2)]
            rows.append(torch.stack(blocks, dim=-1))
        return torch.stack(rows, dim=-2)

    def block(self, tokens: Tensor) -> Tensor:
        """Return the attention among the positions of one block [B, h, w, C]."""
        batch, height, width, channels = tokens.shape
        flat = tokens.reshape(batch, -1, channels)
        query, key, value = self.to_query(flat), self.to_key(flat), self.to_value(flat)
        size = channels // self.heads
        heads = []
        for head in range(self.heads):
            part = slice(head * size, (head + 1) * size)
            bias = self.position[head].flatten()[torch.tensor(offsets(height, width))]
            heads.append(attend(query[..., part], key[..., part], value[..., part], bias))
        return torch.cat(heads, dim=2).reshape(tokens.shape)


class PlainMLP(nn.Module):
    """Norm, a wide layer, an activation, a narrow layer, batch norm.

    GELU is x times the normal distribution function of x; ReLU is x where it is positive; relu2 is its square.
    """

    def __init__(self, channels: int, ratio: int, activation: str = "gelu") -> None:
        super().__init__()
        self.activation = activation
        self.up = nn.Linear(channels, ratio * channels)
        self.down = nn.Linear(ratio * channels, channels, bias=False)
        self.bn = nn.BatchNorm2d(channels, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.up(layer_norm(x.permute(0, 2, 3, 1)))
        if self.activation == "gelu":
            hidden = hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2)))
        else:
            hidden = torch.where(hidden > 0, hidden, 0.0) ** {"relu": 1, "relu2": 2}[self.activation]
        return self.bn(self.down(hidden).permute(0, 3, 1, 2))


class PlainDepthwise(nn.Module):
    """ReLU, depthwise 3x3 convolution, batch norm."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False)
        self.bn = nn.BatchNorm2d(channels, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(F.relu(x)))


def attention_primitive(name: str, channels: int, stride: int) -> nn.Module:
    """Return the reference of a primitive of the ``attention`` and ``hybrid`` spaces."""
    if name in HEADS:
        window = WINDOW if name == "window_attention" else None
        return PlainSelfAttention(channels, HEADS[name], stride, window)
    if name in ("mlp_2x", "mlp_4x"):
        return PlainMLP(channels, int(name[4]))
    if name == "dw_conv_3x3":
        return PlainDepthwise(channels, stride)
    raise ValueError(f"no reference of {name!r}")
