"""Compiles every kernel that one node launches, forward and backward, for a GPU that need not be here.

``python -m tests.search_space.supernet.fused.offline 16 bfloat16 1`` prints, as JSON, the name of each kernel and the
bytes of shared memory that it needs: channels, dtype and stride are the arguments. Launches are recorded, so what is
compiled is what would be launched.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import torch
import triton
from torch import Tensor
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.runtime.jit import JITFunction

from search_space.space import SPACES
from search_space.supernet.fused import FusedNodes
from search_space.supernet.mixed import MixedNode
from search_space.supernet.sources import SourceForms

TARGET = GPUTarget("cuda", 90, 32)
TYPES = {torch.float32: "*fp32", torch.bfloat16: "*bf16", torch.float64: "*fp64", torch.uint8: "*u8"}


class Recorder:
    """Stands in for the launch of a kernel; keeps one launch of each specialization."""

    def __init__(self) -> None:
        self.launches: dict[str, tuple[Any, dict[str, str], dict[str, object], dict[str, object]]] = {}

    def __call__(
        self, kernel: Any, *arguments: object, grid: object, warmup: bool, **options: object
    ) -> None:
        """Record a launch."""
        values = dict(zip(kernel.arg_names, arguments, strict=False))
        values |= {name: options.pop(name) for name in list(options) if name in kernel.arg_names}
        signature, constants = {}, {}
        for parameter in kernel.params:
            value = values[parameter.name]
            if parameter.is_constexpr:
                signature[parameter.name], constants[parameter.name] = "constexpr", value
            else:
                signature[parameter.name] = TYPES[value.dtype] if isinstance(value, Tensor) else "i32"
        key = repr((kernel.__name__, signature, constants))
        self.launches[key] = (kernel, signature, constants, options)

    def compiled(self) -> list[tuple[str, int]]:
        """Compile all recorded launches; return name and bytes of shared memory of each."""
        found = []
        for kernel, signature, constants, options in self.launches.values():
            aligned = {
                (index,): [["tt.divisibility", 16]]
                for index, kind in enumerate(signature.values())
                if kind.startswith("*")
            }
            source = ASTSource(fn=kernel, signature=signature, constexprs=constants, attrs=aligned)
            out = triton.compile(source, target=TARGET, options=options)
            assert out.asm["cubin"]
            found.append((kernel.__name__, out.metadata.shared))
        return found


def launch_node(channels: int, dtype: torch.dtype, stride: int) -> None:
    """Run a node with two edges forward and backward."""
    primitives = SPACES["darts"].primitives
    wide = torch.promote_types(dtype, torch.float32)
    node = MixedNode(primitives, channels, [stride, stride]).to(wide)
    forms = [SourceForms(primitives, channels, stride).to(wide) for _ in range(2)]
    gamma = torch.rand(2, len(primitives), dtype=wide, requires_grad=True)
    maps = [torch.randn(64, channels, 16, 16, dtype=dtype, requires_grad=True) for _ in range(2)]
    out, _ = FusedNodes([node], forms, gamma).node(0, [form(x) for form, x in zip(forms, maps, strict=True)])
    out.sum().backward()


if __name__ == "__main__":
    recorder = Recorder()
    JITFunction.run = lambda kernel, *arguments, **options: recorder(kernel, *arguments, **options)
    launch_node(int(sys.argv[1]), getattr(torch, sys.argv[2]), int(sys.argv[3]))
    print(json.dumps(recorder.compiled()))
