"""Compilation with numba, cached on disk where possible."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from numba import njit

P = ParamSpec("P")
T = TypeVar("T")


def jit(**options: object) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Return a decorator that compiles a function on its first call and releases the GIL while it runs.

    The compiled code is cached beside the source or in the user's cache folder. Where neither is writable, as in some
    containers, every process compiles the function again.

    Args:
        options: further options of ``numba.njit``.
    """

    def compiled(function: Callable[P, T]) -> Callable[P, T]:
        try:
            return njit(cache=True, nogil=True, **options)(function)
        except RuntimeError:  # no writable cache folder
            return njit(nogil=True, **options)(function)

    return compiled
