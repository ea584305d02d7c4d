"""A GPU that is only pretended: tensors that say they are on CUDA, and compute on the CPU.

Code that runs on it takes the way of a GPU wherever it asks for a tensor's device. What CUDA would refuse is refused:
an operation on tensors of both devices, or a tensor that becomes an array without a copy. What would make the program
wait for the GPU is written down: copies in either direction, values that Python reads. Numbers are those of the CPU,
but a division by a number of Python is a multiplication by its reciprocal.

To torch's C++, the tensors are on the CPU. So what C++ asks of a device stays unseen: which kernels there are for it,
and memory formats of their results.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_iter, tree_map
from typing_extensions import override

GPU = torch.device("cuda", 0)
ROOT = Path(__file__).parents[2]

READING = frozenset(
    {
        "_local_scalar_dense", "equal", "is_nonzero", "nonzero", "masked_select", "_unique2", "bincount",
        "unique_consecutive", "repeat_interleave",
    }
)  # fmt: skip
"""Operators for which a program waits: Python needs a value, or a size that depends on values."""


class Waits(list[str]):
    """Where the program waited for the GPU, and for what: ``read trials/points.py:12 _local_scalar_dense``."""


class OnGpu(Tensor):
    """A tensor on the pretended GPU; ``held`` has its values.

    To torch's C++ it is on the CPU, where autograd works. To Python it is on the GPU.
    """

    held: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]
    is_cuda, is_cpu, device = True, False, GPU

    @staticmethod
    @override
    def __new__(cls, held: Tensor) -> OnGpu:
        made: OnGpu = torch.Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
        )
        made.held = held
        return made

    @classmethod
    @override
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return _run(func, args, dict(kwargs or {}))

    @override
    def to(self, *args: Any, **kwargs: Any) -> Tensor:
        device, dtype, _, memory_format = torch._C._nn._parse_to(*args, **kwargs)
        if device is None or device.type == "cuda":
            kept: Tensor = super().to(
                dtype=dtype or self.dtype, memory_format=memory_format or torch.preserve_format
            )
            return kept
        copied = _Fetch.apply(self) if device.type == "cpu" else self.held.detach().to(device)
        return copied.to(dtype=dtype or self.dtype)

    @override
    def cpu(self, *_: Any) -> Tensor:
        return self.to("cpu")

    @override
    def numpy(self, *, force: bool = False) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first")

    @override
    def tolist(self) -> Any:
        _note("read", "tolist")
        return self.held.tolist()

    @override
    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        made: Tensor = OnGpu(self.held.clone())
        if isinstance(self, nn.Parameter):
            made = nn.Parameter(made, self.requires_grad)
        memo[id(self)] = made
        return made

    @override
    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.held.detach().__reduce_ex__(protocol)  # a checkpoint is read back onto the CPU

    @override
    def __repr__(self) -> str:  # type: ignore[override]
        return f"OnGpu({self.held})"


class _Fetch(torch.autograd.Function):
    """Copies a tensor to the CPU."""

    @staticmethod
    @override
    def forward(ctx: Any, x: OnGpu) -> Tensor:
        _note("read", "to the CPU")
        return x.held.detach().clone()

    @staticmethod
    @override
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return OnGpu(gradient)


class _Mode(TorchDispatchMode):
    """Sees all operators, also those that create a tensor on the GPU from nothing."""

    @override
    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return _run(func, args, dict(kwargs or {}))


def _run(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    name = func.overloadpacket.__name__
    tensors = [leaf for leaf in tree_iter((args, kwargs)) if isinstance(leaf, Tensor)]
    on_gpu = [x for x in tensors if isinstance(x, OnGpu)]
    placed = kwargs.get("device") is not None and torch.device(kwargs["device"]).type == "cuda"
    if not on_gpu and not placed:
        return func(*args, **kwargs)
    if placed:
        kwargs["device"] = torch.device("cpu")
    to_gpu = True
    if name == "copy_":
        to_gpu = isinstance(args[0], OnGpu)
        if to_gpu != isinstance(args[1], OnGpu):
            _note("copy", name)
    elif name == "_to_copy":
        if not on_gpu:
            _note("copy", name)
    elif name in READING or (name.startswith("index") and _has_mask(args)):
        _note("read", name)
    else:
        _check_devices(func, tensors)
    inner_args, inner_kwargs = tree_map(_inner, (tuple(args), kwargs))
    out = _emulated(func, name, args, inner_args, inner_kwargs)
    if not to_gpu or name in ("_local_scalar_dense", "equal"):
        return out
    wrapped = tree_map(lambda x: OnGpu(x) if isinstance(x, Tensor) else x, out)
    return return_and_correct_aliasing(func, args, kwargs, wrapped)


def _emulated(func: Any, name: str, args: Any, inner: Any, kwargs: Any) -> Any:
    if func in (torch.ops.aten.mm.dtype, torch.ops.aten.bmm.dtype):  # only CUDA has it
        left, right, dtype = inner
        return getattr(torch, name)(left.to(dtype), right.to(dtype))
    if func is torch.ops.aten.div.Tensor and inner[0].is_floating_point() and not isinstance(args[1], OnGpu):
        return inner[0] * torch.as_tensor(inner[1], dtype=inner[0].dtype).reciprocal()
    return func(*inner, **kwargs)


def _inner(x: Any) -> Any:
    return x.held if isinstance(x, OnGpu) else x


def _has_mask(args: Sequence[Any]) -> bool:
    return any(isinstance(x, Tensor) and x.dtype in (torch.bool, torch.uint8) for x in tree_iter(args[1:2]))


def _check_devices(func: Any, tensors: Sequence[Tensor]) -> None:
    """Refuse tensors of two devices, as CUDA does; numbers on the CPU may take part in element-wise operators."""
    for x in tensors:
        if not isinstance(x, OnGpu) and (x.dim() or torch.Tag.pointwise not in func.tags):
            raise RuntimeError(
                f"Expected all tensors to be on the same device, but {func} got {list(x.shape)} on the CPU, too"
            )


_waits: Waits | None = None


def _note(kind: str, name: str) -> None:
    if _waits is None:
        return
    frames = traceback.extract_stack()
    here = [f for f in frames if f.filename.startswith(str(ROOT)) and f.filename != __file__]
    ours = [f for f in here if "site-packages" not in f.filename]
    place = f"{Path(ours[-1].filename).relative_to(ROOT)}:{ours[-1].lineno}" if ours else "?"
    _waits.append(f"{kind} {place} {name}")


CALLS: dict[str, Callable[..., Any]] = {
    "_lazy_init": lambda: None,
    "is_available": lambda: True,
    "is_bf16_supported": lambda *_, **__: True,
    "is_initialized": lambda: True,
    "is_current_stream_capturing": lambda: False,
    "current_device": lambda: 0,
    "device_count": lambda: 1,
    "empty_cache": lambda: None,
    "synchronize": lambda *_: None,
    "get_device_name": lambda *_: "pretended GPU",
    "max_memory_allocated": lambda *_: 1,
    "reset_peak_memory_stats": lambda *_: None,
    "get_rng_state": lambda *_: torch.get_rng_state(),
    "set_rng_state": lambda *_: None,
}
"""What functions of ``torch.cuda`` do."""


@contextmanager
def pretended_gpu() -> Iterator[Waits]:
    """Pretend a GPU within the ``with`` block; yields where the program waits for it."""
    global _waits
    _waits = waits = Waits()
    lifted = torch._C._only_lift_cpu_tensors()
    with ExitStack() as stack:
        for name, call in CALLS.items():
            stack.enter_context(mock.patch(f"torch.cuda.{name}", call))
        torch._C._set_only_lift_cpu_tensors(True)
        stack.callback(torch._C._set_only_lift_cpu_tensors, lifted)
        overwritten = torch.__future__.get_overwrite_module_params_on_conversion()
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        stack.callback(torch.__future__.set_overwrite_module_params_on_conversion, overwritten)
        stack.enter_context(mock.patch("torch.autocast", _Autocast))
        stack.enter_context(mock.patch("torch._C._group_tensors_by_device_and_dtype", _grouped))
        # On few channels, oneDNN writes out of bounds where the code takes the way of a GPU (its issue 6035).
        stack.callback(torch._C._set_mkldnn_enabled, torch._C._get_mkldnn_enabled())
        torch._C._set_mkldnn_enabled(False)
        stack.enter_context(_Mode())
        try:
            yield waits
        finally:
            _waits = None


def _grouped(*args: Any, by_dtype: Any = torch._C._group_tensors_by_device_and_dtype) -> Any:
    """Group tensors by device and dtype, as optimizers do."""
    groups = by_dtype(*args)
    return {
        (GPU if isinstance(lists[0][0], OnGpu) else device, dtype): (lists, indices)
        for (device, dtype), (lists, indices) in groups.items()
    }


class _Autocast(torch.autocast):
    """Autocast of the CPU in place of that of CUDA."""

    def __init__(self, device_type: str, *args: Any, **kwargs: Any) -> None:
        super().__init__("cpu" if device_type == "cuda" else device_type, *args, **kwargs)
