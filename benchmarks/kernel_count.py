"""The operations of a first-order search step on a GPU, and the bytes that they move, counted without a GPU.

A step is an alpha step and a weight step with their optimizers: two forward and two backward passes. It runs on fake
tensors, which have shapes but no values, along the code path of a GPU. Every operator of torch counts once, unless it
only makes a view or allocates; so does every kernel of the fused stages. Bytes are those of all its inputs and outputs.

An operator on a list of tensors counts once, although a GPU launches a few kernels for a long list. Augmentation and
meters are not counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Literal
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from typing_extensions import override

from benchmarks.supernet_sizes import CLASSES, Size
from search_space import Supernet
from search_space.supernet import mixed
from search_space.supernet.fused import fusing
from trials.search.darts import frozen

Way = Literal["torch", "fused"]
"""The supernet in torch's operations, and the supernet with fused stages."""

ALLOCATING = frozenset({"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"})
FREE = ALLOCATING | {"detach", "alias", "device", "lift_fresh", "_unsafe_view", "_reshape_alias"}
"""Operators that launch nothing, besides those that torch knows to make views."""


class Operations(TorchDispatchMode):
    """Counts operators and bytes, by the name of the operator."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()

    @override
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        name = func.overloadpacket.__name__
        if func.is_view or name in FREE:
            return out
        tensors = _tensors((args, {key: value for key, value in kwargs.items() if key != "out"}))
        self.calls[name] += 1
        inputs = {id(tensor): tensor for tensor in tensors}.values()
        self.bytes[name] += sum(map(_bytes, inputs)) + sum(map(_bytes, _tensors(out)))
        return out


def _tensors(tree: object) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _bytes(tensor: Tensor) -> int:
    """Return the bytes behind a tensor; an expanded dimension counts once."""
    elements = 1
    for size, stride in zip(tensor.shape, tensor.stride(), strict=True):
        elements *= size if stride else 1
    return elements * tensor.element_size()


def count(way: Way, size: Size, bf16: bool = False) -> Operations:
    """Return the operations of one step."""
    with FakeTensorMode(allow_non_fake_inputs=True), _gpu_path(), fusing(way == "fused"):
        step = _Step(size, bf16)
        with Operations() as operations:
            step.run()
    return operations


@contextmanager
def _gpu_path() -> Iterator[None]:
    """Take the code path of a GPU, although fake tensors are on the CPU."""

    def depthwise_conv(x: Tensor, weight: Tensor, stride: int = 1, dilation: int = 1) -> Tensor:
        padding = weight.shape[-1] // 2 * dilation
        return F.conv2d(x, weight, None, stride, padding, dilation, groups=x.shape[1])

    with ExitStack() as stack:
        stack.enter_context(patch.object(mixed, "depthwise_conv", depthwise_conv))
        stack.enter_context(patch.dict(mixed.BLOCK_ELEMENTS, {False: mixed.BLOCK_ELEMENTS[True]}))
        yield


class _Step:
    """A network with its optimizers, and a batch."""

    def __init__(self, size: Size, bf16: bool) -> None:
        sizes = {
            "cells": size["cells"], "channels": size["channels"], "classes": CLASSES,
            "image_channels": size["image"][0], "output_node": "concat",
        }  # fmt: skip
        network = Supernet("darts", **sizes)  # type: ignore[arg-type]
        for parameter in network.parameters():  # `to` cannot replace fake parameters
            if parameter.dim() == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        self.network = network
        self.bf16 = bf16
        alphas = {id(p) for name, p in network.named_parameters() if name.startswith("alphas.")}
        self.alphas = [p for p in network.parameters() if id(p) in alphas]
        self.weights = [p for p in network.parameters() if id(p) not in alphas]
        self.adam = torch.optim.Adam(self.alphas, betas=(0.5, 0.999), weight_decay=1e-3, fused=True)
        self.sgd = torch.optim.SGD(self.weights, lr=0.025, momentum=0.9, weight_decay=3e-4, fused=True)
        self.images = torch.empty(size["batch"], *size["image"])
        self.labels = torch.empty(size["batch"], dtype=torch.int64)
        for optimizer in (self.adam, self.sgd):  # their states are allocated in the first step
            for parameter in optimizer.param_groups[0]["params"]:
                parameter.grad = torch.empty_like(parameter)
            optimizer.step()

    def run(self) -> None:
        """Take an alpha step and a weight step."""
        self.adam.zero_grad()
        with frozen(self.weights):
            self._loss().backward()
        self.adam.step()
        self.sgd.zero_grad()
        with frozen(self.alphas):
            self._loss().backward()
        torch.nn.utils.clip_grad_norm_(self.weights, 5.0, foreach=True)
        self.sgd.step()

    def _loss(self) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            logits = self.network(self.images)
        return F.cross_entropy(logits.float(), self.labels)
