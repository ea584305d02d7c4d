"""Kernels as operators of torch: one operator is one kernel launch.

Every operator writes into tensors that its caller allocated. So a step can be captured in a CUDA graph, and its
operations can be counted on a machine without a GPU: on fake tensors an operator does nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from search_space.supernet.fused import tiling

LIBRARY = torch.library.Library("shrinksweep", "FRAGMENT")

TYPES = {
    "Tensor": "Tensor",
    "Tensor | None": "Tensor?",
    "Sequence[int]": "int[]",
    "Sequence[bool]": "bool[]",
    "int": "int",
    "bool": "bool",
}
"""Types in the schema of an operator, by annotation."""


def operator(*written: str) -> Callable[[Callable[..., None]], Any]:
    """Return a decorator that makes a function an operator, whose calls go through torch's dispatcher.

    Args:
        written: names of the arguments that the function writes into.
    """

    def register(launch: Callable[..., None]) -> Any:
        name = launch.__name__
        LIBRARY.define(f"{name}{_schema(launch, written)}")
        LIBRARY.impl(name, _on_its_gpu(launch), "CUDA")
        LIBRARY.impl(name, launch, "CPU")  # in Triton's interpreter
        LIBRARY.impl(name, lambda *_: None, "Meta")
        return getattr(torch.ops.shrinksweep, name).default

    return register


def _schema(function: Callable[..., None], written: tuple[str, ...]) -> str:
    arguments = []
    for number, (name, parameter) in enumerate(inspect.signature(function).parameters.items()):
        kind = TYPES[parameter.annotation]
        if name in written:
            kind = kind.replace("Tensor", f"Tensor(a{number}!)")
        arguments.append(f"{kind} {name}")
    return f"({', '.join(arguments)}) -> ()"


def _on_its_gpu(launch: Callable[..., None]) -> Callable[..., None]:
    """Return ``launch`` on the GPU of its first argument: Triton launches kernels on the current one."""

    def launch_there(*arguments: Any) -> None:
        with torch.cuda.device(arguments[0].device):
            launch(*arguments)

    return launch_there


def options(channels: int, count: int | None = None, programs: int = tiling.PROGRAMS) -> dict[str, int]:
    """Return the block sizes of a kernel.

    Args:
        channels: of the maps.
        count: positions of a map, if the kernel works on tiles.
        programs: programs that work on each tile, if every program has one tile.
    """
    sizes = {"channels": channels, "block": tiling.block(channels), "num_stages": tiling.stages(channels)}
    if count is None:
        return sizes | {"group": tiling.group(channels), "num_warps": tiling.finishing_warps(channels)}
    positions = tiling.positions(channels, count, programs)
    return sizes | {"positions": positions, "num_warps": tiling.warps(channels)}


def tiles(channels: int, count: int, programs: int) -> int:
    """Return the number of tiles of a map with ``count`` positions; ``programs`` work on each."""
    return -(-count // tiling.positions(channels, count, programs))


def present(tensor: Tensor | None, dummy: Tensor) -> Tensor:
    """Return ``tensor``, or any tensor in place of one that the kernel does not use."""
    return dummy if tensor is None else tensor
