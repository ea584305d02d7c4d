"""Functions compiled by numba, kept between processes where there is a place for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def jit(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that compiles a function on its first call; ``options`` are those of ``numba.njit``.

    What was compiled is kept beside the source or in the user's cache folder; in a container that can write to neither,
    every process compiles for itself.
    """

    def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
        try:
            return njit(cache=True, nogil=True, **options)(function)
        except RuntimeError:
            return njit(nogil=True, **options)(function)

    return compiled
