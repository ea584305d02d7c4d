"""Memory of this process: free memory is given back, and what is only read in is no garbage."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa


def give_back_memory() -> None:
    """Return free memory of Arrow, and of the C library if it is glibc, to the operating system.

    Both keep freed pieces that lie between pieces in use. Takes from one to some tens of milliseconds.
    """
    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


@contextmanager
def no_garbage() -> Iterator[None]:
    """Pause Python's garbage collector: inside the block objects are made that stay.

    The collector would look at all of them again and again, which takes as long as to make them.
    """
    paused = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if paused:
            gc.enable()
