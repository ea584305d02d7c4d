"""Reference DARTS supernet, as in the paper: a mixed operation on every edge, a module per primitive.

Simple and slow on purpose: tests and benchmarks compare the fast supernet with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NotRequired, TypedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_space.output_node import OutputNode
from search_space.space import SPACES, stage_widths


class Sizes(TypedDict):
    """Arguments that the reference and the fast supernet have in common."""

    cells: int
    channels: int
    classes: int
    nodes: NotRequired[int]
    output_node: NotRequired[str]
    splitting: NotRequired[int]
    image_channels: NotRequired[int]
    patch_size: NotRequired[int]


def batch_norm(channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels, affine=False)


class ReLUConvBN(nn.Sequential):
    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__(nn.ReLU(), nn.Conv2d(c_in, c_out, 1, bias=False), batch_norm(c_out))


class FactorizedReduce(nn.Module):
    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out // 2, 1, stride=2, bias=False)
        self.conv2 = nn.Conv2d(c_in, c_out - c_out // 2, 1, stride=2, bias=False)
        self.bn = batch_norm(c_out)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(x)
        odd = F.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]  # the pixels that the first convolution skips
        return self.bn(torch.cat([self.conv1(x), self.conv2(odd)], dim=1))


class SepConv(nn.Sequential):
    def __init__(self, c: int, kernel: int, stride: int) -> None:
        def half(step: int) -> list[nn.Module]:
            return [
                nn.ReLU(),
                nn.Conv2d(c, c, kernel, stride=step, padding=kernel // 2, groups=c, bias=False),
                nn.Conv2d(c, c, 1, bias=False),
                batch_norm(c),
            ]

        super().__init__(*half(stride), *half(1))


class DilConv(nn.Sequential):
    def __init__(self, c: int, kernel: int, stride: int) -> None:
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(c, c, kernel, stride=stride, padding=kernel - 1, dilation=2, groups=c, bias=False),
            nn.Conv2d(c, c, 1, bias=False),
            batch_norm(c),
        )


class Zero(nn.Module):
    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, :: self.stride, :: self.stride] * 0.0


def primitive(name: str, c: int, stride: int) -> nn.Module:
    kernel = int(name[-1]) if name[-1].isdigit() else 0
    if name == "none":
        return Zero(stride)
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else FactorizedReduce(c, c)
    if name == "max_pool_3x3":
        return nn.Sequential(nn.MaxPool2d(3, stride, 1), batch_norm(c))
    if name == "avg_pool_3x3":
        return nn.Sequential(nn.AvgPool2d(3, stride, 1, count_include_pad=False), batch_norm(c))
    if name.startswith("sep_conv"):
        return SepConv(c, kernel, stride)
    if name.startswith("dil_conv"):
        return DilConv(c, kernel, stride)
    from tests.oracles.plain_attention import attention_primitive

    return attention_primitive(name, c, stride)


class MixedOp(nn.Module):
    def __init__(self, names: Sequence[str], c: int, stride: int) -> None:
        super().__init__()
        self.width, self.stride = c, stride
        self.ops = nn.ModuleDict({name: primitive(name, c, stride) for name in names})

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        return sum(weight * op(x) for weight, op in zip(weights, self.ops.values(), strict=True))


class PlainCell(nn.Module):
    def __init__(
        self, names: Sequence[str], nodes: int, c_before: int, c_previous: int, c: int, reduction: bool,
        reduction_previous: bool, output_node: str, splitting: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self.nodes = nodes
        self.preprocess0 = FactorizedReduce(c_before, c) if reduction_previous else ReLUConvBN(c_before, c)
        self.preprocess1 = ReLUConvBN(c_previous, c)
        self.edges = nn.ModuleList(
            MixedOp(names, c, 2 if reduction and source < 2 else 1)
            for node in range(nodes)
            for source in range(node + 2)
        )
        self.output = OutputNode(output_node, splitting, nodes, c)

    def forward(self, before: Tensor, previous: Tensor, weights: Tensor) -> Tensor:
        states = [self.preprocess0(before), self.preprocess1(previous)]
        edge = 0
        for _ in range(self.nodes):
            total = sum(self.edges[edge + i](state, weights[edge + i]) for i, state in enumerate(states))
            edge += len(states)
            states.append(total)
        return self.output(states[2:])


class PlainSupernet(nn.Module):
    """Stem, cells, global average pooling, classifier; ``alphas`` are [E, P] by kind of cell."""

    def __init__(
        self, space: str = "darts", *, cells: int, channels: int, classes: int, nodes: int = 4,
        output_node: str = "concat", splitting: int = 1, image_channels: int = 3, patch_size: int = 2,
    ) -> None:  # fmt: skip
        super().__init__()
        names = SPACES[space].primitives
        skeleton = SPACES[space].skeleton
        reductions = skeleton.reduction_cells(cells)
        widths = stage_widths(SPACES[space], cells=cells, channels=channels, width_growth=1.0)
        if skeleton.stem == "conv":
            stem = 3 * channels
            self.stem = nn.Sequential(
                nn.Conv2d(image_channels, stem, 3, padding=1, bias=False), nn.BatchNorm2d(stem)
            )
        else:
            stem = channels
            self.stem = nn.Sequential(
                nn.Conv2d(image_channels, stem, patch_size, stride=patch_size, bias=False),
                nn.BatchNorm2d(stem),
            )
        before = previous = stem
        self.cells = nn.ModuleList()
        for index, c in enumerate(widths):
            cell = PlainCell(
                names,
                nodes,
                before,
                previous,
                c,
                index in reductions,
                index - 1 in reductions,
                output_node,
                splitting,
            )
            self.cells.append(cell)
            before, previous = previous, cell.output.channels_out
        self.classifier = nn.Linear(previous, classes)
        edges = sum(range(2, nodes + 2))
        self.alphas = nn.ParameterDict(
            {kind: nn.Parameter(1e-3 * torch.randn(edges, len(names))) for kind in SPACES[space].cell_kinds()}
        )
        self.kinds = ["reduce" if index in reductions else "normal" for index in range(cells)]

    def forward(self, images: Tensor) -> Tensor:
        before = previous = self.stem(images)
        for kind, cell in zip(self.kinds, self.cells, strict=True):
            before, previous = previous, cell(before, previous, self.alphas[kind].softmax(-1))
        return self.classifier(previous.mean(dim=(2, 3)))
