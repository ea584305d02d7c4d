"""Returning free memory to the operating system."""

from __future__ import annotations

import ctypes

import pyarrow as pa


def give_back_memory() -> None:
    """Return free memory of Arrow, and of the C library if it is glibc, to the operating system.

    Both keep freed pieces that lie between pieces in use. Takes from one to some tens of milliseconds.
    """
    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
