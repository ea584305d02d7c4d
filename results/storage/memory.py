"""Free memory goes back to the system: glibc and Arrow keep what was freed in pieces between what is still in use."""

from __future__ import annotations

import ctypes

import pyarrow as pa


def give_back_memory() -> None:
    """Give free memory back: milliseconds to tens of them; Arrow's alone where the C library is not glibc."""
    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
