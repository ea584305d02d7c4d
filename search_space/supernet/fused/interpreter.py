"""Triton's interpreter, which runs kernels without a GPU: for tests, and to rehearse.

Whether a kernel is interpreted is decided when its module is imported, also for the functions of Triton's own language.
With ``TRITON_INTERPRET=1`` in the environment before Triton is imported, a whole process is interpreted. In a process
that has imported Triton already (torch's flop counter does), :func:`interpreted` does it for a while.

In both cases the interpreter is repaired (NumPy 2.4 no longer converts arrays of one element to integers) and made
several times as fast. All of it depends on private names of Triton 3.6.
"""

# ruff: noqa: SLF001
from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any

import triton
import triton.language as tl
from triton.runtime import interpreter
from triton.runtime.jit import JITFunction

PACKAGE = "search_space.supernet.fused"

_changes: ExitStack | None = None


def adapt() -> None:
    """Repair the interpreter and make it faster, unless that is done already."""
    global _changes
    if _changes is not None:
        return
    _changes = ExitStack()
    # Integer operations are not checked for overflows.
    options = interpreter.InterpreterOptions(sanitize_overflow=False)
    _replace(_changes, interpreter.interpreter_builder, "options", options)
    # The language is patched once, not again in every launch and every call of a function within a kernel.
    scope = interpreter._patch_lang(SimpleNamespace(__globals__={"tl": tl, "core": tl.core}))
    _changes.callback(scope.restore)
    scope.set_attr(tl.tensor, "__index__", lambda self: int(self.handle.data.item()))
    _replace(_changes, interpreter, "_patch_lang", lambda _: interpreter._LangPatchScope())
    _share_shapes(_changes)
    _share_dtypes(_changes)


@contextmanager
def interpreted() -> Iterator[None]:
    """Run all kernels in the interpreter within a ``with`` block."""
    global _changes
    with ExitStack() as stack:
        stack.enter_context(triton.knobs.runtime.scope())
        triton.knobs.runtime.interpret = True
        for module in (tl, tl.standard):
            for name, value in list(vars(module).items()):
                if isinstance(value, JITFunction):
                    _replace(stack, module, name, interpreter.InterpretedFunction(value.fn))
        _forget_kernels()
        stack.callback(_forget_kernels)
        adapt()
        try:
            yield
        finally:
            if _changes is not None:
                _changes.close()
                _changes = None


def _share_shapes(stack: ExitStack) -> None:
    """Let all tensors that are alike share their shape: to make it anew takes half of the interpreter's time."""
    make_type, make_tensor = tl.block_type.__init__, tl.tensor.__init__
    of_types: dict[object, tuple[object, object]] = {}
    of_tensors: dict[object, tuple[object, object]] = {}

    def block_type(self: Any, element_ty: object, shape: Sequence[Any]) -> None:
        key = tuple(getattr(side, "value", side) for side in shape)
        if key not in of_types:
            make_type(self, element_ty, shape)
            of_types[key] = self.shape, self.numel
        self.shape, self.numel = of_types[key]
        self.element_ty, self.key, self.name = element_ty, key, f"<{key}, {element_ty}>"

    def tensor(self: Any, handle: object, type: Any) -> None:
        key = type.key if type.is_block() else ()
        if key not in of_tensors:
            make_tensor(self, handle, type)
            of_tensors[key] = self.shape, self.numel
        self.shape, self.numel = of_tensors[key]
        self.handle, self.type, self.dtype = handle, type, type.scalar

    _replace(stack, tl.block_type, "__init__", block_type)
    _replace(stack, tl.tensor, "__init__", tensor)


def _share_dtypes(stack: ExitStack) -> None:
    """Look up NumPy's name of a type only once."""
    look_up, found = interpreter._get_np_dtype, {}

    def dtype(type: Any) -> object:
        if type.name not in found:
            found[type.name] = look_up(type)
        return found[type.name]

    _replace(stack, interpreter, "_get_np_dtype", dtype)


def _replace(stack: ExitStack, owner: object, name: str, value: object) -> None:
    """Set an attribute until ``stack`` is closed."""
    stack.callback(setattr, owner, name, getattr(owner, name))
    setattr(owner, name, value)


def _forget_kernels() -> None:
    """Let the modules of the kernels be imported again."""
    package = importlib.import_module(PACKAGE)
    for name in [name for name in sys.modules if name.startswith(f"{PACKAGE}.") and "kernel" in name]:
        del sys.modules[name]
        vars(package).pop(name.rsplit(".", 1)[-1], None)
